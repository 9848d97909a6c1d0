;; A directory plugin by hand. The host's tests put the fragments of a hostile plugin where the lines `@memory` and
;; `@plugin` are; what a plugin does not define itself has a harmless default (see `hostile.rs`).
(component $root
  (type $types-type (instance
    (type $decision' (record (field "id" string) (field "at-ms" s64)))
    (export "decision" (type (eq $decision')))
    (type $strings (list string))
    (type $value' (variant
      (case "boolean" bool) (case "integer" s64) (case "text" string) (case "texts" $strings)))
    (export "value" (type $value (eq $value')))
    (type $fact' (record (field "name" string) (field "value" $value)))
    (export "fact" (type $fact (eq $fact')))
    (type $attribute' (record (field "name" string) (field "values" $strings)))
    (export "attribute" (type $attribute (eq $attribute')))
    (type $attributes (list $attribute))
    (type $person' (record
      (field "id" string) (field "display-name" string) (field "attributes" $attributes)))
    (export "person" (type (eq $person')))
    (type $facts (list $fact))
    (type $reason' (record
      (field "code" string) (field "message" string) (field "relied-on" $facts)))
    (export "reason" (type (eq $reason')))
  ))
  (type $log-type (instance
    (type $level' (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level')))
    (export "write" (func (param "level" $level) (param "message" string)))
  ))
  (type $secrets-type (instance
    (export "secret" (type $secret (sub resource)))
    (export "[method]secret.verify"
      (func (param "self" (borrow $secret)) (param "phc" string) (result bool)))
    (export "[method]secret.equals"
      (func (param "self" (borrow $secret)) (param "text" string) (result bool)))
  ))
  (type $random-type (instance
    (export "get-random-u64" (func (result u64)))
  ))
  (type $poll-type (instance
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
  ))
  (import "lanyard:policy/types@0.1.0-dev" (instance $types (type $types-type)))
  (import "lanyard:policy/log@0.1.0-dev" (instance $log (type $log-type)))
  (import "lanyard:policy/secrets@0.1.0-dev" (instance $secrets (type $secrets-type)))
  (import "wasi:random/random@0.2.0" (instance $random (type $random-type)))
  (import "wasi:io/poll@0.2.0" (instance $poll (type $poll-type)))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer $root $pollable (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))
  ))

  ;; The types of an exported function must have names, which they get by being exported beside it.
  (component $directory
    (import "poll" (instance $poll (type $poll-type)))
    (alias export $poll "pollable" (type $pollable))
    (import "clock" (instance $clock
      (alias outer $directory $pollable (type $pollable'))
      (export "pollable" (type $pollable (eq $pollable')))
      (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))
    ))
    (import "types" (instance $types (type $types-type)))
    (import "log" (instance $log (type $log-type)))
    (import "secrets" (instance $secrets (type $secrets-type)))
    (import "random" (instance $random (type $random-type)))
    (alias export $types "decision" (type $decision))
    (alias export $types "fact" (type $fact))
    (alias export $types "person" (type $person))
    (alias export $types "reason" (type $reason))
    (alias export $secrets "secret" (type $secret))

    (type $bytes (list u8))
    (type $facts (list $fact))
    (type $sign-in' (record
      (field "decision" $decision) (field "user-name" string) (field "facts" $facts)))
    (export $sign-in "sign-in" (type $sign-in'))
    (type $input' (record (field "name" string) (field "value" (own $secret))))
    (export $input "input" (type $input'))
    (type $resumption' (record
      (field "decision" $decision) (field "state" $bytes) (field "input" (list $input))
      (field "facts" $facts)))
    (export $resumption "resumption" (type $resumption'))
    (type $inquiry' (record
      (field "decision" $decision) (field "person-id" string) (field "facts" $facts)))
    (export $inquiry "inquiry" (type $inquiry'))
    (type $field-kind' (enum "text" "password" "one-time-code"))
    (export $field-kind "field-kind" (type $field-kind'))
    (type $field' (record
      (field "name" string) (field "label" string) (field "kind" $field-kind)))
    (export $field "field" (type $field'))
    (type $form' (record (field "fields" (list $field)) (field "state" $bytes)))
    (export $form "form" (type $form'))
    (type $redirection' (record (field "url" string) (field "state" $bytes)))
    (export $redirection "redirection" (type $redirection'))
    (type $step' (variant
      (case "authenticated" $person) (case "rejected" $reason) (case "abstain")
      (case "ask" $form) (case "redirect" $redirection)))
    (export $step "step" (type $step'))
    (type $standing' (variant
      (case "active" $person) (case "disabled" $reason) (case "unknown") (case "unavailable")))
    (export $standing "standing" (type $standing'))

    (core module $allocator
      ;; @memory
      (export "memory" (memory $memory))
      (export "realloc" (func $realloc))
    )
    (core instance $allocator (instantiate $allocator))
    (alias core export $allocator "memory" (core memory $memory))
    (alias core export $allocator "realloc" (core func $realloc))
    (alias export $log "write" (func $log-write))
    (alias export $secrets "[method]secret.verify" (func $secret-verify))
    (alias export $secrets "[method]secret.equals" (func $secret-equals))
    (alias export $random "get-random-u64" (func $get-random-u64))
    (core func $write (canon lower (func $log-write) (memory $memory)))
    (core func $verify (canon lower (func $secret-verify) (memory $memory)))
    (core func $equals (canon lower (func $secret-equals) (memory $memory)))
    (core func $random (canon lower (func $get-random-u64)))
    (core func $drop (canon resource.drop $secret))
    (alias export $clock "subscribe-duration" (func $subscribe-duration))
    (alias export $poll "[method]pollable.block" (func $pollable-block))
    (core func $timer (canon lower (func $subscribe-duration)))
    (core func $wait (canon lower (func $pollable-block)))

    (core module $plugin
      (import "host" "write" (func $write (param i32 i32 i32)))
      (import "host" "verify" (func $verify (param i32 i32 i32) (result i32)))
      (import "host" "equals" (func $equals (param i32 i32 i32) (result i32)))
      (import "host" "random" (func $random (result i64)))
      (import "host" "drop" (func $drop (param i32)))
      (import "host" "timer" (func $timer (param i64) (result i32)))
      (import "host" "wait" (func $wait (param i32)))
      (import "memory" "memory" (memory 1))

      ;; What answers are made of, below 65,536, where the allocator begins.
      (data (i32.const 16) "\00\00\00\00" "\02")   ;; ok: abstain, and as a standing: unknown
      (data (i32.const 64) "\00\00\00\00" "\00\00\00\00" ;; ok: authenticated
        "\00\04\00\00" "\08\00\00\00"              ;; id: 8 bytes at 1,024
        "\00\04\00\00" "\08\00\00\00"              ;; display name: the same
        "\00\00\00\00" "\00\00\00\00")             ;; no attributes
      (data (i32.const 1024) "somebody")
      ;; Argon2id of `correct horse`, 97 bytes, and a hash that is too cheap, 94 bytes.
      (data (i32.const 2048) "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk")
      (data (i32.const 2304) "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk")

      ;; decision's id (pointer and length) and time, user name, facts; password
      (type $begin (func (param i32 i32 i64 i32 i32 i32 i32 i32) (result i32)))
      ;; @plugin
      (func (export "begin") (type $begin)
        (call $begin (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          (local.get 6) (local.get 7))
        (call $let-go (local.get 7)))
      (func (export "resume") (param i32 i32 i64 i32 i32 i32 i32 i32 i32) (result i32) i32.const 16)
      (func (export "lookup") (param i32 i32 i64 i32 i32 i32 i32) (result i32) i32.const 16)
    )
    (core instance $plugin (instantiate $plugin
      (with "memory" (instance $allocator))
      (with "host" (instance
        (export "write" (func $write))
        (export "verify" (func $verify))
        (export "equals" (func $equals))
        (export "random" (func $random))
        (export "drop" (func $drop))
        (export "timer" (func $timer))
        (export "wait" (func $wait))))
    ))

    (alias core export $plugin "begin" (core func $begin))
    (alias core export $plugin "resume" (core func $resume))
    (alias core export $plugin "lookup" (core func $lookup))
    (func (export "begin")
      (param "request" $sign-in) (param "password" (borrow $secret)) (result (result $step (error string)))
      (canon lift (core func $begin) (memory $memory) (realloc $realloc)))
    (func (export "resume") (param "request" $resumption) (result (result $step (error string)))
      (canon lift (core func $resume) (memory $memory) (realloc $realloc)))
    (func (export "lookup") (param "request" $inquiry) (result (result $standing (error string)))
      (canon lift (core func $lookup) (memory $memory) (realloc $realloc)))
  )
  (instance $directory (instantiate $directory
    (with "types" (instance $types))
    (with "log" (instance $log))
    (with "secrets" (instance $secrets))
    (with "random" (instance $random))
    (with "poll" (instance $poll))
    (with "clock" (instance $clock))
  ))
  (export "lanyard:policy/directory@0.1.0-dev" (instance $directory))
)
