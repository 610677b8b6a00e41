/*
 * The exchanges of a recall without a driver: argv[1] is the terminal; stdin has the commands, one a line; each is written to it and its answer
 * read to the line feed before the next is written. stdout: the milliseconds that this took. What is over the wire's own limit is the host's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int count, char **path) {
  static char commands[1024][32];
  int commands_count = 0;
  const int fd = count == 2 ? open(path[1], O_RDWR | O_NOCTTY) : -1;
  if (fd < 0) return 1;
  while (commands_count < 1024 && scanf("%31s", commands[commands_count]) == 1) commands_count++;
  const double began = now_ms();
  for (int i = 0; i < commands_count; i++) {
    const size_t bytes = strlen(commands[i]);
    char got = '\0', answer[64];
    if (write(fd, commands[i], bytes) != (ssize_t)bytes) return 1;
    while (got != '\n') {
      const ssize_t read_bytes = read(fd, answer, sizeof answer);
      if (read_bytes <= 0) return 1;
      got = answer[read_bytes - 1];
    }
  }
  printf("%.3f\n", now_ms() - began);
  return 0;
}
