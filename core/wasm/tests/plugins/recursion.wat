;; Calls itself until the stack ends.
(func $begin (type $begin)
  (call $begin (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
    (local.get 7))
  (i32.add (i32.const 1)))
