;; Answers with a step that the contract does not have.
(data (i32.const 20) "\63")
