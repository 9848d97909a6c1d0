;; Does not give the password's handle back.
(func $let-go (param i32))
