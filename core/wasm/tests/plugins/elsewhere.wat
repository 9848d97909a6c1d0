;; Sends the browser to https://login.example/authorize?x=1, and leaves no state.
(data (i32.const 128) "\00\00\00\00" "\04\00\00\00" ;; ok: redirect
  "\00\02\00\00" "\23\00\00\00"              ;; url: 35 bytes at 512
  "\00\00\00\00" "\00\00\00\00")             ;; no state
(data (i32.const 512) "https://login.example/authorize?x=1")
(func $begin (type $begin) i32.const 128)
