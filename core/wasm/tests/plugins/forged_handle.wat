;; Uses a handle that it was not given.
(func $begin (type $begin)
  (drop (call $verify (i32.const 77) (i32.const 2048) (i32.const 97)))
  i32.const 16)
