/*
 * An engine that has functions of the same names as libraries inside Sortie. Were one of them taken by Sortie, or one
 * of Sortie's by the engine, the counts would not agree.
 */
#include "game.h"

#include <stdio.h>

static int calls;

#define OWN(name)                                                                                                      \
    int name(void);                                                                                                    \
    int name(void)                                                                                                     \
    {                                                                                                                  \
        return ++calls;                                                                                                \
    }

OWN(curl_global_init)
OWN(curl_easy_init)
OWN(curl_easy_perform)
OWN(curl_multi_init)
OWN(curl_multi_add_handle)
OWN(SSL_new)
OWN(SSL_CTX_new)
OWN(OPENSSL_init_ssl)
OWN(OPENSSL_init_crypto)
OWN(CRYPTO_malloc)
OWN(RAND_bytes)
OWN(inflateInit2_)
OWN(inflate)
OWN(inflateEnd)
OWN(deflate)
OWN(crc32)
OWN(nghttp2_session_client_new)
OWN(nghttp2_version)

int check_surroundings(void)
{
    int before = calls;
    int own = curl_easy_init() == before + 1 && SSL_new() == before + 2 && inflate() == before + 3 &&
              deflate() == before + 4 && nghttp2_version() == before + 5;
    static int expected;
    expected += 5;
    if (!own || calls != expected) {
        fprintf(stderr, "%d calls of the engine's own functions, expected %d\n", calls, expected);
        return 1;
    }
    return 0;
}
