// Ctrl-C in a long call.
#pragma once

namespace dip {

// To be called between pieces of work. In Python's main thread, while it has given up its lock for an operator, it lets
// the interpreter look every 20 ms whether a signal has come, and throws what the signal's handler raises:
// KeyboardInterrupt after Ctrl-C. Elsewhere it does nothing.
void check_interruption();

}  // namespace dip
