;; Vouches for a person whose id is not text.
(data (i32.const 1024) "\ff\fe\fd")
(func $begin (type $begin) i32.const 64)
