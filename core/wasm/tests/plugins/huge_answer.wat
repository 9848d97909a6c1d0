;; Rejects with three megabytes of explanation.
(memory $memory 64)
(data (i32.const 128) "\00\00\00\00" "\01\00\00\00" "\00\04\00\00" "\04\00\00\00" "\00\00\01\00" "\00\00\30\00")
(func $begin (type $begin) i32.const 128)
