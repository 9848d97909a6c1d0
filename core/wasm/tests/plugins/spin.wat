;; Never answers.
(func $begin (type $begin) (loop $forever (br $forever)) unreachable)
