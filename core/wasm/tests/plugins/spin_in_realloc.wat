;; Never takes delivery of the question.
(memory $memory 2)
(func $realloc (param i32 i32 i32 i32) (result i32) (loop $forever (br $forever)) unreachable)
