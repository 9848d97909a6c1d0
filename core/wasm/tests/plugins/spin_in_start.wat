;; Never gets as far as being asked.
(func $start (loop $forever (br $forever)))
(start $start)
