/*
 * Units at the far ends of serial lines, one for each baud rate that is named. Each holds the other side of a kernel pty itself and answers at
 * once, but never faster than its line carries the bytes in both directions. It shares nothing with the driver but the bytes.
 *
 * stdout: the path of each terminal, a line each; then, for each byte on stdin, a line with the bytes of all lines so far in both directions,
 * and by how many milliseconds in sum the answers left later than their lines would have had them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINES 32
#define CHANNELS 100
#define BITS_PER_BYTE 10 /* 8N1 */
/* A timer of the kernel fires late by about as much; what is left until then is spent looking at the clock. */
#define EARLY_NS 150000

typedef struct {
  int fd;
  long long ns_per_byte;
  long long free_at_ns;
  long long due_ns; /* 0: there is no answer on its way */
  char begun[64], answer[64];
  size_t begun_bytes, answer_bytes;
  char values[CHANNELS][16];
} Line;

static Line lines[LINES];
static long long total_bytes, late_ns;

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void lay(Line *line, long baud) {
  line->ns_per_byte = BITS_PER_BYTE * 1000000000LL / baud;
  line->fd = posix_openpt(O_RDWR | O_NOCTTY);
  if (line->fd < 0 || grantpt(line->fd) != 0 || unlockpt(line->fd) != 0) fail("pty");
  /* Held open: otherwise the line would hang up whenever the driver closes it. */
  const int near = open(ptsname(line->fd), O_RDWR | O_NOCTTY);
  struct termios raw;
  if (near < 0 || tcgetattr(near, &raw) != 0) fail("terminal");
  cfmakeraw(&raw);
  if (tcsetattr(near, TCSANOW, &raw) != 0) fail("raw");
  printf("%s\n", ptsname(line->fd));
}

/* True when what has begun is a whole command; its answer is in `line->answer`, without an end. */
static int answered(Line *line) {
  int channel, magnitude;
  char letter, end;
  line->begun[line->begun_bytes] = '\0';
  if (strcmp(line->begun, "N") == 0) {
    strcpy(line->answer, "60-330-16");
    return 1;
  }
  if (sscanf(line->begun, "%d*%d%c%c", &channel, &magnitude, &letter, &end) == 3 && (letter == 'G' || letter == 'g')) {
    snprintf(line->values[channel % CHANNELS], sizeof line->values[0], "%c%02d", letter == 'g' ? '-' : '+', magnitude);
    snprintf(line->answer, sizeof line->answer, "In%02d Aud%s", channel, line->values[channel % CHANNELS]);
    return 1;
  }
  if (sscanf(line->begun, "%d%c%c", &channel, &letter, &end) == 2 && letter == 'G') {
    strcpy(line->answer, line->values[channel % CHANNELS]);
    return 1;
  }
  return 0;
}

static void hear(Line *line) {
  const ssize_t got = read(line->fd, line->begun + line->begun_bytes, sizeof line->begun - 1 - line->begun_bytes);
  if (got <= 0) fail("read");
  const long long now = now_ns();
  line->free_at_ns = (now > line->free_at_ns ? now : line->free_at_ns) + got * line->ns_per_byte;
  line->begun_bytes += (size_t)got;
  total_bytes += got;
  if (!answered(line)) return;
  line->begun_bytes = 0;
  strcat(line->answer, "\r\n");
  line->answer_bytes = strlen(line->answer);
  total_bytes += (long long)line->answer_bytes;
  line->free_at_ns += (long long)line->answer_bytes * line->ns_per_byte;
  line->due_ns = line->free_at_ns;
}

static void say(Line *line) {
  late_ns += now_ns() - line->due_ns;
  if (write(line->fd, line->answer, line->answer_bytes) != (ssize_t)line->answer_bytes) fail("write");
  line->due_ns = 0;
}

int main(int count, char **bauds) {
  struct pollfd ends[LINES + 1];
  const int laid = count - 1;
  if (laid < 1 || laid > LINES) return 2;
  for (int i = 0; i < laid; i++) {
    lay(&lines[i], atol(bauds[i + 1]));
    ends[i] = (struct pollfd){.fd = lines[i].fd, .events = POLLIN};
  }
  ends[laid] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
  fflush(stdout);
  for (;;) {
    long long next_ns = 0;
    for (int i = 0; i < laid; i++)
      if (lines[i].due_ns != 0 && (next_ns == 0 || lines[i].due_ns < next_ns)) next_ns = lines[i].due_ns;
    long long wait_ns = next_ns == 0 ? -1 : next_ns - now_ns() - EARLY_NS;
    if (next_ns != 0 && wait_ns < 0) wait_ns = 0;
    const struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    if (ppoll(ends, (nfds_t)laid + 1, wait_ns < 0 ? NULL : &wait, NULL) < 0) fail("poll");
    for (int i = 0; i < laid; i++) {
      if (ends[i].revents & POLLIN) hear(&lines[i]);
      if (lines[i].due_ns != 0 && lines[i].due_ns <= now_ns()) say(&lines[i]);
    }
    if (ends[laid].revents != 0) {
      char asked;
      if (read(STDIN_FILENO, &asked, 1) != 1) return 0;
      printf("%lld %.3f\n", total_bytes, (double)late_ns / 1e6);
      fflush(stdout);
    }
  }
}
