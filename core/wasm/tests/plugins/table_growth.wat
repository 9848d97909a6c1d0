;; Grows a table for ever.
(table $table 1 funcref)
(func $begin (type $begin)
  (loop $more (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $more)) unreachable)
