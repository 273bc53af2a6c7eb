/* The least that one request and its answer can cost on this kernel: epoll, recv, send, no parsing.
 * cc -O2 floor.c -o floor && ./floor PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";

static void welcome(int poll, int door) {
    int on = 1, guest = accept(door, 0, 0);
    struct epoll_event wish = {.events = EPOLLIN, .data.fd = guest};
    setsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(poll, EPOLL_CTL_ADD, guest, &wish);
}

/* One answer for each head that is here: requests are small and never split on loopback. */
static void serve(int guest) {
    char text[8192], *at = text;
    ssize_t size = recv(guest, text, sizeof text, 0);
    if (size <= 0) {
        close(guest);
        return;
    }
    while ((at = memmem(at, text + size - at, "\r\n\r\n", 4))) {
        send(guest, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
        at += 4;
    }
}

int main(int count, char **words) {
    if (count != 2) return 2;
    int on = 1, door = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons(atoi(words[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(door, (void *)&here, sizeof here) || listen(door, 1024)) return 1;
    struct epoll_event wish = {.events = EPOLLIN, .data.fd = door}, ready[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, door, &wish);
    for (;;) {
        int found = epoll_wait(poll, ready, 256, -1);
        for (int i = 0; i < found; i++) {
            if (ready[i].data.fd == door) welcome(poll, door);
            else serve(ready[i].data.fd);
        }
    }
}
