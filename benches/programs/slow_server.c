/*
 * A server of responses that take their time. /idle sends a head and one byte and then nothing; /slow/N sends N bytes, 8 KiB
 * each quarter of a second; /N sends N bytes at once. Prints its port, and serves until its input closes.
 *
 * nginx does not do: it paces by whole seconds, so that thousands of responses end in one and the same millisecond.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 2048
#define LONGEST 65536
#define DESCRIPTORS 65536
#define PIECE 8192
#define PAUSE_NS 250000000

struct connection {
    int descriptor; /* -1 if it is closed and still among the paced */
    char head[HEAD]; /* what has come of a request */
    size_t length;
    size_t unsent;
    uint64_t due_ns; /* when the next piece is sent */
    struct connection *next; /* of those that wait for that, by time */
};

static struct connection *connections[DESCRIPTORS];
static struct connection *first, **last = &first;
static char body[LONGEST];
static int ready;

static void watch(int descriptor)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = descriptor };
    if (epoll_ctl(ready, EPOLL_CTL_ADD, descriptor, &event) != 0)
        fail("epoll_ctl");
}

/* Every pause is as long as the others, so the last to come is the last to go on. */
static void send_later(struct connection *connection, uint64_t from_ns)
{
    connection->due_ns = from_ns + PAUSE_NS;
    connection->next = NULL;
    *last = connection;
    last = &connection->next;
}

static void send_pieces(void)
{
    uint64_t now = now_ns();
    while (first && first->due_ns <= now) {
        struct connection *connection = first;
        first = connection->next;
        if (!first)
            last = &first;
        if (connection->descriptor < 0) {
            free(connection);
            continue;
        }
        size_t piece = connection->unsent < PIECE ? connection->unsent : PIECE;
        ssize_t sent = send(connection->descriptor, body, piece, MSG_NOSIGNAL);
        connection->unsent -= sent > 0 ? (size_t)sent : 0;
        /* Not from now on, or what is late together once would come together ever after. */
        if (connection->unsent > 0)
            send_later(connection, connection->due_ns);
    }
}

static void forget(struct connection *connection)
{
    connections[connection->descriptor] = NULL;
    close(connection->descriptor);
    connection->descriptor = -1;
    if (connection->unsent == 0)
        free(connection);
}

static void answer(struct connection *connection, const char *path)
{
    static char response[256 + LONGEST];
    int idle = strncmp(path, "/idle ", 6) == 0, slow = strncmp(path, "/slow/", 6) == 0;
    unsigned long length = idle ? 1000000 : strtoul(path + (slow ? 6 : 1), NULL, 10);
    if (!idle && length > LONGEST)
        fail("no such body: %s", path);
    int head = snprintf(response, 256,
                        "HTTP/1.1 200 OK\r\nServer: slow\r\nContent-Type: application/octet-stream\r\n"
                        "Content-Length: %lu\r\n\r\n",
                        length);
    size_t shown = idle ? 1 : slow ? 0 : length;
    memcpy(response + head, body, shown);
    /* What does not fit into the socket's buffer is not worth waiting for: nobody asks for that much. */
    if (send(connection->descriptor, response, (size_t)head + shown, MSG_NOSIGNAL) != head + (ssize_t)shown)
        fail("a client does not read");
    if (slow && length > 0) {
        connection->unsent = length;
        send_later(connection, now_ns());
    }
}

static void receive(struct connection *connection)
{
    char *room = connection->head + connection->length, *end;
    ssize_t got = recv(connection->descriptor, room, HEAD - 1 - connection->length, 0);
    if (got <= 0) {
        forget(connection);
        return;
    }
    connection->length += (size_t)got;
    connection->head[connection->length] = '\0';
    while ((end = strstr(connection->head, "\r\n\r\n"))) {
        if (strncmp(connection->head, "GET ", 4) != 0 || connection->unsent > 0)
            fail("not a GET, or one too early");
        answer(connection, connection->head + 4);
        size_t used = (size_t)(end + 4 - connection->head);
        connection->length -= used;
        memmove(connection->head, connection->head + used, connection->length + 1);
    }
    if (connection->length == HEAD - 1)
        fail("a request's head is too long");
}

static void accept_all(int listener)
{
    int descriptor, one = 1;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (descriptor >= DESCRIPTORS)
            fail("too many connections");
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connections[descriptor] = allocate(1, sizeof *connections[descriptor]);
        connections[descriptor]->descriptor = descriptor;
        watch(descriptor);
    }
}

static int until_next_ms(void)
{
    if (!first)
        return -1;
    uint64_t now = now_ns();
    return first->due_ns > now ? (int)((first->due_ns - now) / 1000000) + 1 : 0;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    struct epoll_event events[256];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    raise_file_limit();
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 || (ready = epoll_create1(0)) < 0)
        fail("cannot listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(listener);
    watch(STDIN_FILENO);
    for (;;) {
        int count = epoll_wait(ready, events, 256, until_next_ms());
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == STDIN_FILENO)
                return 0;
            if (descriptor == listener)
                accept_all(listener);
            else if (connections[descriptor])
                receive(connections[descriptor]);
        }
        send_pieces();
    }
}
