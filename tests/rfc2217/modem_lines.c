/* Modem lines for a simulated board's pseudo-terminal, for programs that know nothing of it.
 *
 * A pseudo-terminal refuses TIOCMGET and its kin; kiln-sim carries the lines on a socket beside it (PATH.ctl). Loaded
 * by LD_PRELOAD into an unchanged program, this answers those requests from that socket: KILN_MODEM_LINES=PATH.ctl.
 * Single-threaded enough for its purpose: two threads that set lines at once are serialised. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int control = -1;
static int lines; /* TIOCM_DTR | TIOCM_RTS */

/* Tells the board; 0 once it has answered. */
static int tell(void) {
  if (control < 0) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char* path = getenv("KILN_MODEM_LINES");
    if (path == NULL || strlen(path) >= sizeof(address.sun_path)) return -1;
    strcpy(address.sun_path, path);
    control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (control < 0 || connect(control, (struct sockaddr*)&address, sizeof(address)) != 0) return -1;
  }
  unsigned char message = (unsigned char)(((lines & TIOCM_DTR) ? 1 : 0) | ((lines & TIOCM_RTS) ? 2 : 0));
  unsigned char answer = 0;
  if (send(control, &message, 1, MSG_NOSIGNAL) != 1) return -1;
  return recv(control, &answer, 1, 0) == 1 && answer == message ? 0 : -1;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  long result = syscall(SYS_ioctl, fd, request, argument);
  if (result == 0 || (errno != EINVAL && errno != ENOTTY)) return (int)result;
  int wanted = 0;
  pthread_mutex_lock(&mutex);
  switch (request) {
    case TIOCMGET:
      *(int*)argument = lines;
      result = 0;
      break;
    case TIOCMSET:
      wanted = *(int*)argument;
      goto change;
    case TIOCMBIS:
      wanted = lines | *(int*)argument;
      goto change;
    case TIOCMBIC:
      wanted = lines & ~*(int*)argument;
    change:
      lines = wanted & (TIOCM_DTR | TIOCM_RTS);
      result = tell();
      if (result != 0) errno = EIO;
      break;
    default:
      break;
  }
  pthread_mutex_unlock(&mutex);
  return (int)result;
}
