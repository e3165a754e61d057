// Named places where a test can kill the process. In the installed program every call is an empty function;
// the program `tidegate-fault` links the other implementation.
#pragma once

namespace tidegate {

// Environment TIDEGATE_FAILPOINT=NAME[:COUNT] kills the process with SIGKILL at the COUNT-th (default first)
// pass of NAME; NAME[:COUNT]=stop sends SIGSTOP instead, NAME[:COUNT]=error throws Error (Advice::reconnect).
void failpoint(const char* name);

}  // namespace tidegate
