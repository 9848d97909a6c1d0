;; Vouches for a person whose id is made of eight random letters.
(func $begin (type $begin)
  (local $dice i64) (local $at i32)
  (local.set $dice (call $random))
  (loop $next
    (i32.store8 offset=1024 (local.get $at)
      (i32.add (i32.const 97) (i32.and (i32.wrap_i64 (local.get $dice)) (i32.const 15))))
    (local.set $dice (i64.shr_u (local.get $dice) (i64.const 8)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 8))))
  i32.const 64)
