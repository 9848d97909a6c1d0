;; Names its functions with what is no text, and lies about how long that is.
(@custom "name" (after last) "\01\ff\ff\ff\ff\0f\ff\fe\fd")
(@custom "producers" (after last) "\ff\ff\ff\ff\ff")
(@custom "target_features" (after last) "\01+\ffthreads")
