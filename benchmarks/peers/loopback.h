/* A socket of loopback on a port that the kernel chooses; the port is written to standard output. */

#pragma once

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <sys/socket.h>

static inline int bind_loopback(int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
        (type & SOCK_STREAM && listen(fd, SOMAXCONN)) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        err(1, "socket");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}
