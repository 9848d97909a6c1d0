;; Asks for one page after another.
(func $begin (type $begin) (loop $more (drop (memory.grow (i32.const 1))) (br $more)) unreachable)
