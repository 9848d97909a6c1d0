;; Is born with more than its 32 MiB, and less than the pool's 64 MiB.
(memory $memory 1000)
