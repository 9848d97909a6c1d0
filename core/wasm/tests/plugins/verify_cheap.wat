;; Brings a hash that can be computed millions of times.
(func $begin (type $begin)
  (drop (call $verify (local.get 7) (i32.const 2304) (i32.const 94)))
  i32.const 16)
