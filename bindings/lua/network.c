/*
 * Sortie for Lua: `require "network"`, Solar2D's network library on any host. README.md beside this file documents it.
 *
 * For Lua 5.1 to 5.4 and LuaJIT, against sortie.h alone.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#define _POSIX_C_SOURCE 200112L
#define EXPORT __attribute__((visibility("default")))
#endif

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <sortie.h>

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#define set_uservalue lua_setfenv
#elif LUA_VERSION_NUM < 504
#define set_uservalue lua_setuservalue
#else
#define set_uservalue(L, index) lua_setiuservalue(L, index, 1)
#endif

/* What sortie.h takes of an array's elements. */
#define MAX_ELEMENTS 10000

/* ------------------------------------------------------------------------------------------------------------------
 * Lua code may call any function that it gets hold of with any values, the debug library may exchange upvalues and
 * metatables. So each userdata of this module begins with the address of its kind's tag, by which our() knows it.
 */
static char network_tag, request_tag, directory_tag;

/* The userdata at an index, if it is one of this kind; otherwise NULL. */
static void *our(lua_State *L, int index, const char *tag, size_t size)
{
    void *block;
    if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != size)
        return NULL;
    block = lua_touserdata(L, index);
    return memcmp(block, &tag, sizeof tag) == 0 ? block : NULL;
}

/* ------------------------------------------------------------------------------------------------------------------
 * What a Lua state has of the library. Every function of the module has it as its first upvalue, and as its second a
 * table, the store, with what is Lua's own.
 */
typedef struct {
    const char *tag;
    sortie_client *client;          /* NULL until something needs one */
    sortie_event event;             /* taken from the client and not yet delivered, if has_event */
    int has_event;
    int polling;                    /* network.poll() is under way ... */
    int building;                   /* ... and reads what `event` points to: the client must stay */
    int suspended;
    int closed;                     /* lua_close() has come by */
    uint64_t next_serial;           /* the next request's number */
    uint64_t refused_begin, refused_end; /* which of STORE_REFUSED wait for the next poll */
    uint64_t turn;                  /* counts polls */
    double loaded_at;
} network;

enum {
    STORE_MODULE = 1,
    STORE_NETWORK,
    STORE_LIVE,              /* serial -> record, of every request and watch whose last event has not been delivered */
    STORE_REFUSED,           /* number -> serial, of requests that never reached the client */
    STORE_WATCHES,           /* host -> serial */
    STORE_SETTINGS,          /* what network.configure() was given */
    STORE_WARNED,            /* methods that were warned of */
    STORE_DIRECTORIES,       /* SORTIE_DIRECTORY_* -> constant */
    STORE_DIRECTORY_META,
    STORE_HANDLE_META,
    STORE_HEADERS_META,
    /* Tables up to here, functions from here on. */
    STORE_DELIVER,           /* deliver_events() */
    STORE_CALL_METHOD,       /* call_method() */
    STORE_DESCRIBE_ERROR     /* describe_error() */
};

/* A record: what a request needs until it has ended. */
enum {
    RECORD_HANDLE = 1,
    RECORD_LISTENER,
    RECORD_FILENAME,
    RECORD_DIRECTORY, /* of the response's file, as the caller gave it */
    RECORD_BODY,      /* lent to the client */
    RECORD_HEADERS,   /* of the `began` event, for those of progress */
    RECORD_URL,
    RECORD_REFUSAL    /* why the request never reached the client */
};

/* What a game holds of a request. */
typedef struct {
    const char *tag;
    uint64_t serial; /* travels as user_data; unlike ids, serials of an earlier client never come back */
    sortie_request id;
    uint64_t turn;   /* the poll that delivered its latest progress */
    int32_t status;  /* of its `began` event */
    int cancelled;
    int debug;
} request;

#define STORE lua_upvalueindex(2)

static int raise_tampering(lua_State *L)
{
    return luaL_error(L, "network: the debug library has changed what the module keeps");
}

static network *here(lua_State *L)
{
    network *n = our(L, lua_upvalueindex(1), &network_tag, sizeof *n);
    if (!n)
        raise_tampering(L);
    return n;
}

static request *to_request(lua_State *L, int index)
{
    return our(L, index, &request_tag, sizeof(request));
}

/* Pushes store[which]. */
static void push_store(lua_State *L, int which)
{
    if (!lua_istable(L, STORE))
        raise_tampering(L);
    lua_rawgeti(L, STORE, which);
    if (lua_type(L, -1) != (which < STORE_DELIVER ? LUA_TTABLE : LUA_TFUNCTION))
        raise_tampering(L);
}

static void push_whole(lua_State *L, int64_t number)
{
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, (lua_Integer)number);
#else
    lua_pushnumber(L, (lua_Number)number);
#endif
}

/* Pushes store[which][key], and leaves the table below it. */
static void push_stored(lua_State *L, int which, uint64_t key)
{
    push_store(L, which);
    push_whole(L, (int64_t)key);
    lua_rawget(L, -2);
}

/* store[which][key] = nil, which takes no memory. */
static void forget(lua_State *L, int which, uint64_t key)
{
    push_store(L, which);
    push_whole(L, (int64_t)key);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Compares ASCII whatever the letters' case and the locale. */
static int compare_names(const char *a, const char *b)
{
    while (*a && lower((unsigned char)*a) == lower((unsigned char)*b)) {
        a++;
        b++;
    }
    return lower((unsigned char)*a) - lower((unsigned char)*b);
}

static double milliseconds(void)
{
#if defined(_WIN32)
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart * 1e3 / (double)frequency.QuadPart;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
#endif
}

/* ------------------------------------------------------------------------------------------------------------------
 * Telling the host.
 */

/* Calls the function that network.configure() was given under this name with the `count` values on the stack's top, and
 * pops them. Returns 0 if there is none, or it failed. */
static int call_host(lua_State *L, const char *name, int count)
{
    int called;
    push_store(L, STORE_SETTINGS);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pop(L, count + 1);
        return 0;
    }
    lua_insert(L, -count - 1);
    called = lua_pcall(L, count, 0, 0) == 0;
    if (!called) {
        const char *why = lua_tostring(L, -1);
        fprintf(stderr, "network: %s failed: %s\n", name, why ? why : luaL_typename(L, -1));
        lua_pop(L, 1);
    }
    return called;
}

/* Pushes why the last call of the client was refused. */
static void push_refusal_message(lua_State *L)
{
    /* Making a string can run a finalizer, whose own refused call would take the message's place. */
    char message[1024];
    snprintf(message, sizeof message, "%s", sortie_last_error_message());
    lua_pushstring(L, message);
}

/* Takes the warning on the stack's top. */
static void warn(lua_State *L)
{
    lua_pushvalue(L, -1);
    if (!call_host(L, "onWarning", 1))
        fprintf(stderr, "WARNING: %s\n", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* The message handler of listeners: makes of an error { message, traceback }. */
static int describe_error(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_type(L, 1) != LUA_TSTRING) {
        if (lua_isnumber(L, 1))
            lua_tostring(L, 1);
        else if (!luaL_callmeta(L, 1, "__tostring") || lua_type(L, -1) != LUA_TSTRING)
            lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, 2, 1);
#if LUA_VERSION_NUM < 502
    /* Kept at load; a host may have no debug library. */
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_pushvalue(L, 1);
    if (lua_isfunction(L, -2)) {
        lua_pushinteger(L, 2);
        lua_call(L, 2, 1);
    }
#else
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
#endif
    lua_rawseti(L, 2, 2);
    lua_settop(L, 2);
    return 1;
}

/* Takes what lua_pcall() left of a listener's error. */
static void report_error(lua_State *L)
{
    /* A bare string comes where describe_error() could not run: out of memory, or an error within it. */
    int i, bare = !lua_istable(L, -1);
    for (i = 1; i <= 2; i++) {
        if (bare)
            lua_pushvalue(L, -i);
        else
            lua_rawgeti(L, -i, i);
    }
    lua_pushvalue(L, -1);
    lua_insert(L, -3);
    if (!call_host(L, "onError", 2)) {
        const char *text = lua_tostring(L, -1);
        fprintf(stderr, "network: error in a listener: %s\n", text ? text : luaL_typename(L, -1));
    }
    lua_pop(L, 2);
}

/* ------------------------------------------------------------------------------------------------------------------
 * Reading what Lua hands over. What is wrong is said in a message on the stack's top, and 0.
 */
static const char *type_name(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? "nil" : luaL_typename(L, index);
}

static int raise_type(lua_State *L, const char *function, const char *parameter, const char *expected, int index)
{
    return luaL_error(L, "%s: '%s' parameter must be %s (got %s)", function, parameter, expected,
                      type_name(L, index));
}

static int wrong_type(lua_State *L, const char *key, const char *expected, int index)
{
    lua_pushfstring(L, "'%s' must be %s (got %s)", key, expected, type_name(L, index));
    return 0;
}

/* The type is right, so it says the number or the string. */
static int wrong_value(lua_State *L, const char *key, const char *expected, int index)
{
    char quoted[64];
    if (lua_type(L, index) == LUA_TSTRING) {
        snprintf(quoted, sizeof quoted, "\"%.50s\"", lua_tostring(L, index));
        lua_pushstring(L, quoted);
    } else {
        lua_pushvalue(L, index);
    }
    lua_pushfstring(L, "'%s' must be %s (got %s)", key, expected, lua_tostring(L, -1));
    lua_remove(L, -2);
    return 0;
}

static int has_nul(lua_State *L, int index)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    return strlen(text) != length;
}

/* Moves the value on the stack's top into a table that keeps it from the garbage collector. */
static void keep(lua_State *L, int keeper)
{
    lua_rawseti(L, keeper, (int)lua_rawlen(L, keeper) + 1);
}

/* Reads the string at an index, and keeps it. */
static int read_text(lua_State *L, int index, const char *key, int keeper, const char **out)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return wrong_type(L, key, "a string", index);
    if (has_nul(L, index)) {
        lua_pushfstring(L, "'%s' has a NUL character", key);
        return 0;
    }
    *out = lua_tostring(L, index);
    lua_pushvalue(L, index);
    keep(L, keeper);
    return 1;
}

typedef struct {
    const char *word;
    uint32_t number;
} choice;

typedef enum {
    TEXT,
    REQUIRED_TEXT,
    COUNT,   /* uint32_t */
    PORT,    /* uint32_t */
    BYTES,   /* uint64_t */
    SECONDS, /* uint32_t, milliseconds */
    CHOICE,  /* uint32_t, of `choices`, which ends with NULL */
    WHEN,    /* sets `flag` when true */
    UNLESS   /* sets `flag` when false */
} field_kind;

/* A key of a table in Lua and the field of a struct in C that it sets. */
typedef struct {
    const char *key;
    field_kind kind;
    size_t offset;
    uint32_t flag;
    const choice *choices;
    const char *expected;
} field;

#define FIELD(key, kind, type, member) { key, kind, offsetof(type, member), 0, NULL, NULL }
#define FLAG(key, kind, type, bit) { key, kind, offsetof(type, flags), bit, NULL, NULL }
#define CHOOSE(key, type, member, list, expected) { key, CHOICE, offsetof(type, member), 0, list, expected }
#define END { NULL, TEXT, 0, 0, NULL, NULL }

/* Reads a whole number. */
static int read_whole(lua_State *L, int index, const char *key, double least, double most, double *out)
{
    char expected[80];
    snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", least, most);
    if (lua_type(L, index) != LUA_TNUMBER)
        return wrong_type(L, key, expected, index);
    *out = (double)lua_tonumber(L, index);
    if (!(*out >= least && *out <= most && floor(*out) == *out))
        return wrong_value(L, key, expected, index);
    return 1;
}

static int read_seconds(lua_State *L, int index, const char *key, uint32_t *out)
{
    static const char expected[] = "a number of seconds above 0";
    double given;
    if (lua_type(L, index) != LUA_TNUMBER)
        return wrong_type(L, key, expected, index);
    given = ceil((double)lua_tonumber(L, index) * 1000);
    if (!(given > 0))
        return wrong_value(L, key, expected, index);
    *out = given < (double)SORTIE_NO_TIMEOUT ? (uint32_t)given : SORTIE_NO_TIMEOUT;
    return 1;
}

static int read_choice(lua_State *L, int index, const field *f, uint32_t *out)
{
    const choice *c;
    if (lua_type(L, index) != LUA_TSTRING)
        return wrong_type(L, f->key, f->expected, index);
    for (c = f->choices; c->word; c++) {
        if (strcmp(c->word, lua_tostring(L, index)) == 0) {
            *out = c->number;
            return 1;
        }
    }
    return wrong_value(L, f->key, f->expected, index);
}

/* Reads the value at an index into its field of `object`. */
static int read_field(lua_State *L, int index, const field *f, void *object, int keeper)
{
    void *member = (char *)object + f->offset;
    double number;
    switch (f->kind) {
    case TEXT:
    case REQUIRED_TEXT:
        return read_text(L, index, f->key, keeper, (const char **)member);
    case COUNT:
    case PORT:
        if (!read_whole(L, index, f->key, 1, f->kind == PORT ? 65535 : 4294967295.0, &number))
            return 0;
        *(uint32_t *)member = (uint32_t)number;
        return 1;
    case BYTES:
        if (!read_whole(L, index, f->key, 1, 9007199254740992.0, &number))
            return 0;
        *(uint64_t *)member = (uint64_t)number;
        return 1;
    case SECONDS:
        return read_seconds(L, index, f->key, (uint32_t *)member);
    case CHOICE:
        return read_choice(L, index, f, (uint32_t *)member);
    case WHEN:
    case UNLESS:
        if (!lua_isboolean(L, index))
            return wrong_type(L, f->key, "a boolean", index);
        if (lua_toboolean(L, index) == (f->kind == WHEN))
            *(uint32_t *)member |= f->flag;
        return 1;
    }
    return 1;
}

static const field *find_field(const field *fields, const char *key)
{
    for (; fields->key; fields++) {
        if (strcmp(fields->key, key) == 0)
            return fields;
    }
    return NULL;
}

/* Counts a table's entries, up to one more than is allowed. */
static uint32_t count_entries(lua_State *L, int table)
{
    uint32_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (++count > MAX_ELEMENTS) {
            lua_pop(L, 1);
            break;
        }
    }
    return count;
}

static int too_many(lua_State *L, const char *key)
{
    lua_pushfstring(L, "'%s' has more than %d entries", key, MAX_ELEMENTS);
    return 0;
}

/* Reads a table of headers by name. `without`, if not NULL, names one to leave out. */
static int read_headers(lua_State *L, int table, const char *key, const char *without, int keeper,
                        const sortie_header **out, uint32_t *out_count)
{
    uint32_t count, filled = 0;
    sortie_header *headers;
    if (!lua_istable(L, table))
        return wrong_type(L, key, "a table", table);
    count = count_entries(L, table);
    if (count > MAX_ELEMENTS)
        return too_many(L, key);
    headers = lua_newuserdata(L, (count + 1) * sizeof *headers);
    keep(L, keeper);
    lua_pushnil(L);
    while (filled < count && lua_next(L, table)) {
        int value = lua_gettop(L), name = value - 1;
        if (lua_type(L, name) != LUA_TSTRING) {
            lua_pushfstring(L, "'%s' must have strings as keys (got a %s)", key, luaL_typename(L, name));
            return 0;
        }
        if (has_nul(L, name)) {
            lua_pushfstring(L, "'%s': a name has a NUL character", key);
            return 0;
        }
        headers[filled].name = lua_tostring(L, name);
        if (lua_isboolean(L, value)) {
            lua_pushstring(L, lua_toboolean(L, value) ? "true" : "false");
        } else if (lua_isstring(L, value)) {
            lua_pushvalue(L, value);
        } else {
            lua_pushfstring(L, "'%s': '%s' must be a string, a number or a boolean (got %s)", key,
                            headers[filled].name, luaL_typename(L, value));
            return 0;
        }
        headers[filled].value = lua_tostring(L, -1);
        if (has_nul(L, -1)) {
            lua_pushfstring(L, "'%s': the value of '%s' has a NUL character", key, headers[filled].name);
            return 0;
        }
        keep(L, keeper);
        lua_pushvalue(L, name);
        keep(L, keeper);
        if (!without || compare_names(headers[filled].name, without) != 0)
            filled++;
        lua_settop(L, name);
    }
    *out = headers;
    *out_count = filled;
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------------
 * Base directories.
 */
static const char *const directory_names[] = {
    NULL, "DocumentsDirectory", "TemporaryDirectory", "CachesDirectory", "ApplicationSupportDirectory",
    "ResourceDirectory"
};
static const char *const directory_keys[] = {
    NULL, "documentsDirectory", "temporaryDirectory", "cachesDirectory", "applicationSupportDirectory",
    "resourceDirectory"
};
#define DIRECTORIES 5

/* A constant for one of them. */
typedef struct {
    const char *tag;
    uint32_t number; /* SORTIE_DIRECTORY_* */
} directory_constant;

static const directory_constant *to_directory(lua_State *L, int index)
{
    return our(L, index, &directory_tag, sizeof(directory_constant));
}

static int directory_tostring(lua_State *L)
{
    const directory_constant *constant = to_directory(L, 1);
    if (!constant)
        return raise_type(L, "__tostring", "self", "a system directory constant", 1);
    lua_pushstring(L, directory_names[constant->number]);
    return 1;
}

/* Pushes the host's own constant, such as Solar2D's, or nil. A global table that forbids unknown names is not asked. */
static void push_host_directory(lua_State *L, uint32_t directory)
{
#if LUA_VERSION_NUM < 502
    lua_pushliteral(L, "system");
    lua_rawget(L, LUA_GLOBALSINDEX);
#else
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushliteral(L, "system");
    lua_rawget(L, -2);
    lua_remove(L, -2);
#endif
    if (lua_istable(L, -1))
        lua_getfield(L, -1, directory_names[directory]);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

/* Pushes the constant of the documents directory, the host's if it has one. */
static void push_documents(lua_State *L)
{
    push_host_directory(L, SORTIE_DIRECTORY_DOCUMENTS);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        push_stored(L, STORE_DIRECTORIES, SORTIE_DIRECTORY_DOCUMENTS);
        lua_remove(L, -2);
    }
}

/* Which directory the constant at an index is; 0 if it is none. */
static uint32_t find_directory(lua_State *L, int index)
{
    const directory_constant *constant = to_directory(L, index);
    uint32_t directory;
    if (constant)
        return constant->number;
    if (lua_isnoneornil(L, index))
        return 0;
    for (directory = 1; directory <= DIRECTORIES; directory++) {
        int same;
        push_host_directory(L, directory);
        same = lua_rawequal(L, -1, index);
        lua_pop(L, 1);
        if (same)
            return directory;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------------
 * Configuration, and the client made of it.
 */
static const choice tls_versions[] = { { "1.2", SORTIE_TLS_1_2 }, { "1.3", SORTIE_TLS_1_3 }, { NULL, 0 } };

static const field config_fields[] = {
    FIELD("userAgent", TEXT, sortie_client_config, user_agent),
    FIELD("documentsDirectory", TEXT, sortie_client_config, documents_directory),
    FIELD("temporaryDirectory", TEXT, sortie_client_config, temporary_directory),
    FIELD("cachesDirectory", TEXT, sortie_client_config, caches_directory),
    FIELD("applicationSupportDirectory", TEXT, sortie_client_config, application_support_directory),
    FIELD("resourceDirectory", TEXT, sortie_client_config, resource_directory),
    FIELD("maxActive", COUNT, sortie_client_config, max_active),
    FIELD("maxActivePerHost", COUNT, sortie_client_config, max_active_per_host),
    FIELD("maxRequests", COUNT, sortie_client_config, max_requests),
    FIELD("timeout", SECONDS, sortie_client_config, timeout_ms),
    FIELD("connectTimeout", SECONDS, sortie_client_config, connect_timeout_ms),
    FIELD("stallTimeout", SECONDS, sortie_client_config, stall_timeout_ms),
    FIELD("queueTimeout", SECONDS, sortie_client_config, queue_timeout_ms),
    FIELD("keepAliveInterval", SECONDS, sortie_client_config, keep_alive_interval_ms),
    FIELD("maxConnectionIdle", SECONDS, sortie_client_config, max_connection_idle_ms),
    FIELD("minBytesPerSecond", BYTES, sortie_client_config, min_bytes_per_second),
    FIELD("minSpeedPeriod", SECONDS, sortie_client_config, min_speed_period_ms),
    CHOOSE("minTlsVersion", sortie_client_config, min_tls_version, tls_versions, "\"1.2\" or \"1.3\""),
    FIELD("maxBodyBytes", BYTES, sortie_client_config, max_body_bytes),
    FIELD("maxBufferedBytes", BYTES, sortie_client_config, max_buffered_bytes),
    FIELD("caFile", TEXT, sortie_client_config, ca_file),
    FIELD("proxy", TEXT, sortie_client_config, proxy),
    FIELD("noProxy", TEXT, sortie_client_config, no_proxy),
    FLAG("cookies", UNLESS, sortie_client_config, SORTIE_CLIENT_NO_COOKIES),
    FIELD("cookieFile", TEXT, sortie_client_config, cookie_file),
    FIELD("reachabilityInterval", SECONDS, sortie_client_config, reachability_interval_ms),
    END
};

static const field pin_fields[] = {
    FIELD("host", REQUIRED_TEXT, sortie_pin, host),
    FIELD("publicKeys", REQUIRED_TEXT, sortie_pin, public_keys),
    END
};

static const field certificate_fields[] = {
    FIELD("host", REQUIRED_TEXT, sortie_client_certificate, host),
    FIELD("certificateFile", REQUIRED_TEXT, sortie_client_certificate, certificate_file),
    FIELD("keyFile", TEXT, sortie_client_certificate, key_file),
    FIELD("keyPassword", TEXT, sortie_client_certificate, key_password),
    END
};

static const field resolve_fields[] = {
    FIELD("host", REQUIRED_TEXT, sortie_resolve, host),
    FIELD("port", PORT, sortie_resolve, port),
    FIELD("address", REQUIRED_TEXT, sortie_resolve, address),
    FIELD("addressPort", PORT, sortie_resolve, address_port),
    END
};

/* A key whose value is a list of tables. */
typedef struct {
    const char *key;
    const field *fields;
    size_t size;
    size_t elements; /* offsets in sortie_client_config */
    size_t count;
} list;

static const list lists[] = {
    { "pins", pin_fields, sizeof(sortie_pin), offsetof(sortie_client_config, pins),
      offsetof(sortie_client_config, pin_count) },
    { "clientCertificates", certificate_fields, sizeof(sortie_client_certificate),
      offsetof(sortie_client_config, client_certificates), offsetof(sortie_client_config, client_certificate_count) },
    { "resolves", resolve_fields, sizeof(sortie_resolve), offsetof(sortie_client_config, resolves),
      offsetof(sortie_client_config, resolve_count) }
};

/* Reads a table with all its keys into a struct. */
static int read_object(lua_State *L, int table, const field *fields, void *object, int keeper)
{
    const field *f;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        f = lua_type(L, value - 1) == LUA_TSTRING ? find_field(fields, lua_tostring(L, value - 1)) : NULL;
        if (!f) {
            lua_pushvalue(L, value - 1);
            lua_pushfstring(L, "unknown key '%s'", lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1));
            return 0;
        }
        if (!read_field(L, value, f, object, keeper))
            return 0;
        lua_settop(L, value - 1);
    }
    for (f = fields; f->key; f++) {
        if (f->kind == REQUIRED_TEXT && !*(const char **)((char *)object + f->offset)) {
            lua_pushnil(L);
            return wrong_type(L, f->key, "a string", lua_gettop(L));
        }
    }
    return 1;
}

static int read_list(lua_State *L, int table, const list *l, sortie_client_config *config, int keeper)
{
    size_t count, i;
    char *elements;
    uint32_t count32;
    if (!lua_istable(L, table))
        return wrong_type(L, l->key, "a list of tables", table);
    count = lua_rawlen(L, table);
    if (count > MAX_ELEMENTS)
        return too_many(L, l->key);
    if (count_entries(L, table) != count) {
        lua_pushfstring(L, "'%s' must be a list of tables (got other keys)", l->key);
        return 0;
    }
    elements = lua_newuserdata(L, (count + 1) * l->size);
    memset(elements, 0, (count + 1) * l->size);
    keep(L, keeper);
    for (i = 0; i < count; i++) {
        lua_rawgeti(L, table, (int)i + 1);
        if (!lua_istable(L, -1)) {
            lua_pushfstring(L, "'%s[%d]' must be a table (got %s)", l->key, (int)i + 1, luaL_typename(L, -1));
            return 0;
        }
        if (!read_object(L, lua_gettop(L), l->fields, elements + i * l->size, keeper)) {
            lua_pushfstring(L, "%s[%d]: %s", l->key, (int)i + 1, lua_tostring(L, -1));
            return 0;
        }
        lua_pop(L, 1);
    }
    count32 = (uint32_t)count;
    memcpy((char *)config + l->elements, &elements, sizeof elements);
    memcpy((char *)config + l->count, &count32, sizeof count32);
    return 1;
}

/* Reads the setting whose key is below the stack's top, and its value at it. */
static int read_setting(lua_State *L, sortie_client_config *config, int keeper)
{
    int value = lua_gettop(L);
    const char *key;
    const field *f;
    size_t i;
    if (lua_type(L, value - 1) != LUA_TSTRING) {
        lua_pushfstring(L, "keys must be strings (got a %s)", luaL_typename(L, value - 1));
        return 0;
    }
    key = lua_tostring(L, value - 1);
    f = find_field(config_fields, key);
    if (f)
        return read_field(L, value, f, config, keeper);
    for (i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (strcmp(key, lists[i].key) == 0)
            return read_list(L, value, &lists[i], config, keeper);
    }
    if (strcmp(key, "defaultHeaders") == 0) {
        return read_headers(L, value, key, NULL, keeper, &config->default_headers, &config->default_header_count);
    }
    if (strcmp(key, "onError") == 0 || strcmp(key, "onWarning") == 0)
        return lua_isfunction(L, value) || wrong_type(L, key, "a function", value);
    lua_pushfstring(L, "unknown key '%s'", key);
    return 0;
}

static int read_settings(lua_State *L, int table, sortie_client_config *config, int keeper)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int key = lua_gettop(L) - 1;
        if (!read_setting(L, config, keeper))
            return 0;
        lua_settop(L, key);
    }
    return 1;
}

/* Pushes a copy of the value at an index, and of the tables in it. Their shape has been read before. */
static void push_copy(lua_State *L, int index, int depth)
{
    int copy;
    if (!lua_istable(L, index) || depth == 0) {
        lua_pushvalue(L, index);
        return;
    }
    luaL_checkstack(L, 8, "network");
    lua_newtable(L);
    copy = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pushvalue(L, -2);
        push_copy(L, copy + 2, depth - 1);
        lua_rawset(L, copy);
        lua_settop(L, copy + 1);
    }
}

static int network_configure(lua_State *L)
{
    network *n = here(L);
    sortie_client_config config = { .struct_size = sizeof config };
    lua_settop(L, 1);
    if (!lua_istable(L, 1))
        return raise_type(L, "network.configure", "settings", "a table", 1);
    if (n->client)
        return luaL_error(L, "network.configure: the client exists already: call it before the first request, or "
                             "after network.shutdown()");
    lua_newtable(L);
    if (!read_settings(L, 1, &config, 2))
        return luaL_error(L, "network.configure: %s", lua_tostring(L, -1));
    lua_settop(L, 1);
    push_store(L, STORE_SETTINGS);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pushvalue(L, 3);
        push_copy(L, 4, 2);
        lua_rawset(L, 2);
        lua_settop(L, 3);
    }
    return 0;
}

/* Pushes the system's folder for temporary files. */
static void push_temporary_directory(lua_State *L)
{
#if defined(_WIN32)
    WCHAR wide[MAX_PATH + 1];
    char narrow[3 * (MAX_PATH + 1)];
    if (GetTempPathW(MAX_PATH + 1, wide) == 0 ||
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, narrow, sizeof narrow, NULL, NULL) == 0)
        strcpy(narrow, ".");
    lua_pushstring(L, narrow);
#else
    const char *given = getenv("TMPDIR");
    lua_pushstring(L, given && *given ? given : "/tmp");
#endif
}

/* Pushes the path of a base directory, and returns it. */
static const char *push_path(lua_State *L, uint32_t directory)
{
    push_store(L, STORE_SETTINGS);
    lua_pushstring(L, directory_keys[directory]);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        if (directory == SORTIE_DIRECTORY_TEMPORARY || directory == SORTIE_DIRECTORY_CACHES)
            push_temporary_directory(L);
        else
            lua_pushliteral(L, ".");
    }
    return lua_tostring(L, -1);
}

/* Makes the client if there is none. Pushes why it cannot be made, and returns 0. */
static int make_client(lua_State *L, network *n)
{
    sortie_client_config config = { .struct_size = sizeof config };
    int top = lua_gettop(L), fine;
    if (n->client)
        return 1;
    luaL_checkstack(L, 20, "network");
    lua_newtable(L);
    push_store(L, STORE_SETTINGS);
    fine = read_settings(L, top + 2, &config, top + 1);
    if (fine) {
        config.documents_directory = push_path(L, SORTIE_DIRECTORY_DOCUMENTS);
        config.temporary_directory = push_path(L, SORTIE_DIRECTORY_TEMPORARY);
        config.caches_directory = push_path(L, SORTIE_DIRECTORY_CACHES);
        config.application_support_directory = push_path(L, SORTIE_DIRECTORY_APPLICATION_SUPPORT);
        config.resource_directory = push_path(L, SORTIE_DIRECTORY_RESOURCE);
        if (n->closed) {
            lua_pushliteral(L, "the Lua state is being closed");
            fine = 0;
        } else if (!n->client && sortie_client_create(&config, &n->client) != SORTIE_OK) {
            push_refusal_message(L);
            lua_pushfstring(L, "the client cannot be made: %s", lua_tostring(L, -1));
            fine = 0;
        } else if (n->suspended) {
            sortie_client_suspend(n->client);
        }
    }
    if (!fine)
        lua_replace(L, top + 1);
    lua_settop(L, fine ? top : top + 1);
    return fine;
}

/* ------------------------------------------------------------------------------------------------------------------
 * Requests. Their arguments are at the same places for request, download and upload; what was left out is nil.
 */
enum {
    ARG_URL = 1,
    ARG_METHOD,
    ARG_LISTENER,
    ARG_PARAMS,
    ARG_FILENAME,
    ARG_DIRECTORY,
    ARG_TYPE,
    RECORD,
    KEEPER, /* a table that keeps strings and arrays until they are submitted */
    REASON  /* why the request is refused, or nil */
};

static const choice progress_choices[] = {
    { "upload", SORTIE_PROGRESS_UPLOAD }, { "download", SORTIE_PROGRESS_DOWNLOAD }, { NULL, 0 }
};
static const choice kind_choices[] = { { "text", SORTIE_BODY_TEXT }, { "binary", SORTIE_BODY_BINARY }, { NULL, 0 } };
static const choice priority_choices[] = {
    { "high", SORTIE_PRIORITY_HIGH }, { "normal", SORTIE_PRIORITY_NORMAL }, { "low", SORTIE_PRIORITY_LOW }, { NULL, 0 }
};
static const choice version_choices[] = {
    { "1.1", SORTIE_HTTP_1_1 }, { "2", SORTIE_HTTP_2_PRIOR_KNOWLEDGE }, { NULL, 0 }
};

static const field progress_field =
    CHOOSE("progress", sortie_request_desc, progress, progress_choices, "\"upload\" or \"download\"");

static const field request_fields[] = {
    CHOOSE("bodyType", sortie_request_desc, body_kind, kind_choices, "\"text\" or \"binary\""),
    FIELD("timeout", SECONDS, sortie_request_desc, timeout_ms),
    FLAG("handleRedirects", UNLESS, sortie_request_desc, SORTIE_REQUEST_MANUAL_REDIRECTS),
    FLAG("insecureRedirects", WHEN, sortie_request_desc, SORTIE_REQUEST_INSECURE_REDIRECTS),
    FIELD("maxRedirects", COUNT, sortie_request_desc, max_redirects),
    CHOOSE("priority", sortie_request_desc, priority, priority_choices, "\"high\", \"normal\" or \"low\""),
    CHOOSE("httpVersion", sortie_request_desc, http_version, version_choices, "\"1.1\" or \"2\""),
    FIELD("connectTimeout", SECONDS, sortie_request_desc, connect_timeout_ms),
    FIELD("stallTimeout", SECONDS, sortie_request_desc, stall_timeout_ms),
    FIELD("queueTimeout", SECONDS, sortie_request_desc, queue_timeout_ms),
    FIELD("minBytesPerSecond", BYTES, sortie_request_desc, min_bytes_per_second),
    FIELD("minSpeedPeriod", SECONDS, sortie_request_desc, min_speed_period_ms),
    FIELD("proxy", TEXT, sortie_request_desc, proxy),
    FIELD("maxBodyBytes", BYTES, sortie_request_desc, max_body_bytes),
    FIELD("expectedSha256", TEXT, sortie_request_desc, expected_sha256),
    FIELD("expectedLength", BYTES, sortie_request_desc, expected_length),
    FIELD("maxAttempts", COUNT, sortie_request_desc, max_attempts),
    FIELD("retryDelay", SECONDS, sortie_request_desc, retry_delay_ms),
    FIELD("maxRetryDelay", SECONDS, sortie_request_desc, max_retry_delay_ms),
    FIELD("attemptTimeout", SECONDS, sortie_request_desc, attempt_timeout_ms),
    FLAG("retryAnyMethod", WHEN, sortie_request_desc, SORTIE_REQUEST_RETRY_ANY_METHOD),
    FLAG("resume", WHEN, sortie_request_desc, SORTIE_REQUEST_RESUME),
    FLAG("sync", UNLESS, sortie_request_desc, SORTIE_REQUEST_NO_SYNC),
    FLAG("rawText", WHEN, sortie_request_desc, SORTIE_REQUEST_RAW_TEXT),
    FLAG("cookies", UNLESS, sortie_request_desc, SORTIE_REQUEST_NO_COOKIES),
    FIELD("username", TEXT, sortie_request_desc, username),
    FIELD("password", TEXT, sortie_request_desc, password),
    FIELD("bearerToken", TEXT, sortie_request_desc, bearer_token),
    END
};

/* A listener is a function, or a table with this method. */
static int is_listener(lua_State *L, int index, const char *method)
{
    int has_method = 0;
    if (lua_istable(L, index)) {
        lua_getfield(L, index, method);
        has_method = lua_isfunction(L, -1);
        lua_pop(L, 1);
    }
    return has_method || lua_isfunction(L, index);
}

/* Raises an error about the first argument of a wrong type. */
static void check_arguments(lua_State *L, const char *function, int takes_file)
{
    if (lua_type(L, ARG_URL) != LUA_TSTRING)
        raise_type(L, function, "url", "a string", ARG_URL);
    if (!lua_isnil(L, ARG_METHOD) && lua_type(L, ARG_METHOD) != LUA_TSTRING)
        raise_type(L, function, "method", "a string", ARG_METHOD);
    if (!lua_isnil(L, ARG_LISTENER) && !is_listener(L, ARG_LISTENER, "networkRequest"))
        raise_type(L, function, "listener", "a function or a table with a method 'networkRequest'", ARG_LISTENER);
    if (!lua_isnil(L, ARG_PARAMS) && !lua_istable(L, ARG_PARAMS))
        raise_type(L, function, "params", "a table", ARG_PARAMS);
    if (takes_file && lua_type(L, ARG_FILENAME) != LUA_TSTRING)
        raise_type(L, function, "filename", "a string", ARG_FILENAME);
    if (!lua_isnil(L, ARG_DIRECTORY) && !find_directory(L, ARG_DIRECTORY))
        raise_type(L, function, "baseDirectory", "a system directory constant", ARG_DIRECTORY);
    if (!lua_isnil(L, ARG_TYPE) && lua_type(L, ARG_TYPE) != LUA_TSTRING)
        raise_type(L, function, "contentType", "a string", ARG_TYPE);
}

/* Reads the method in capitals, and warns of an unusual one. */
static int read_method(lua_State *L, const char *function, const char *otherwise, const char **out)
{
    static const char *const known[] = { "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH" };
    luaL_Buffer buffer;
    const char *given;
    size_t i;
    if (lua_isnil(L, ARG_METHOD)) {
        *out = otherwise;
        return 1;
    }
    given = lua_tostring(L, ARG_METHOD);
    luaL_buffinit(L, &buffer);
    for (i = 0; given[i]; i++)
        luaL_addchar(&buffer, (char)(given[i] >= 'a' && given[i] <= 'z' ? given[i] - ('a' - 'A') : given[i]));
    luaL_pushresult(&buffer);
    if (has_nul(L, ARG_METHOD)) {
        lua_pushliteral(L, "'method' has a NUL character");
        return 0;
    }
    lua_replace(L, ARG_METHOD);
    *out = lua_tostring(L, ARG_METHOD);
    for (i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(*out, known[i]) == 0)
            return 1;
    }
    push_store(L, STORE_WARNED);
    lua_pushvalue(L, ARG_METHOD);
    lua_rawget(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pushvalue(L, ARG_METHOD);
        lua_pushboolean(L, 1);
        lua_rawset(L, -4);
        lua_pushfstring(L, "%s: method \"%s\" is not a usual one; it is sent as it is", function, *out);
        warn(L);
    }
    lua_pop(L, 2);
    return 1;
}

/* Reads { filename=, baseDirectory= } at the stack's top, and leaves in its place the two values. */
static int read_file(lua_State *L, const char *key, const char **path, uint32_t *directory)
{
    int table = lua_gettop(L);
    char name[40];
    lua_getfield(L, table, "filename");
    snprintf(name, sizeof name, "%s.filename", key);
    if (!read_text(L, table + 1, name, KEEPER, path))
        return 0;
    lua_getfield(L, table, "baseDirectory");
    *directory = SORTIE_DIRECTORY_DOCUMENTS;
    if (!lua_isnil(L, -1)) {
        *directory = find_directory(L, table + 2);
        if (!*directory) {
            snprintf(name, sizeof name, "%s.baseDirectory", key);
            return wrong_type(L, name, "a system directory constant", table + 2);
        }
    }
    lua_remove(L, table);
    return 1;
}

/* Reads params.body, or what upload was given. */
static int read_body(lua_State *L, int is_upload, sortie_request_desc *desc)
{
    if (is_upload) {
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, ARG_FILENAME);
        lua_setfield(L, -2, "filename");
        lua_pushvalue(L, ARG_DIRECTORY);
        lua_setfield(L, -2, "baseDirectory");
    } else {
        lua_getfield(L, ARG_PARAMS, "body");
    }
    if (lua_istable(L, -1))
        return read_file(L, "body", &desc->body_path, &desc->body_directory);
    if (lua_type(L, -1) == LUA_TSTRING) {
        size_t length;
        desc->body = lua_tolstring(L, -1, &length);
        desc->body_length = length;
        desc->flags |= SORTIE_REQUEST_BORROW_BODY;
        if (desc->body_kind == SORTIE_BODY_DEFAULT)
            desc->body_kind = SORTIE_BODY_TEXT;
        lua_rawseti(L, RECORD, RECORD_BODY);
        return 1;
    }
    return lua_isnil(L, -1) || wrong_type(L, "body", "a string, or a table with a filename", lua_gettop(L));
}

/* Reads params.response, or what download was given. */
static int read_response(lua_State *L, const char *function, int is_download, sortie_request_desc *desc)
{
    if (is_download) {
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, ARG_FILENAME);
        lua_setfield(L, -2, "filename");
        lua_pushvalue(L, ARG_DIRECTORY);
        lua_setfield(L, -2, "baseDirectory");
    } else {
        lua_getfield(L, ARG_PARAMS, "response");
    }
    if (lua_isnil(L, -1))
        return 1;
    if (!lua_istable(L, -1))
        return wrong_type(L, "response", "a table with a filename", lua_gettop(L));
    if (!read_file(L, "response", &desc->response_path, &desc->response_directory))
        return 0;
    if (desc->response_directory == SORTIE_DIRECTORY_RESOURCE) {
        lua_pushfstring(L, "%s: ResourceDirectory is only read from; \"%s\" goes to DocumentsDirectory", function,
                        desc->response_path);
        warn(L);
        desc->response_directory = SORTIE_DIRECTORY_DOCUMENTS;
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        push_documents(L);
    }
    lua_rawseti(L, RECORD, RECORD_DIRECTORY);
    lua_rawseti(L, RECORD, RECORD_FILENAME);
    return 1;
}

typedef enum { REQUEST, DOWNLOAD, UPLOAD } call_kind;
static const char *const function_names[] = { "network.request", "network.download", "network.upload" };

/* Reads all of a request. */
static int read_request(lua_State *L, call_kind call, sortie_request_desc *desc, int *debug)
{
    const char *function = function_names[call];
    const field *f;
    int value;
    if (!read_text(L, ARG_URL, "url", KEEPER, &desc->url) ||
        !read_method(L, function, call == UPLOAD ? "POST" : "GET", &desc->method))
        return 0;
    if (lua_isnil(L, ARG_PARAMS)) {
        lua_newtable(L);
        lua_replace(L, ARG_PARAMS);
    }
    for (f = request_fields; f->key; f++) {
        lua_getfield(L, ARG_PARAMS, f->key);
        value = lua_gettop(L);
        if (!lua_isnil(L, value) && !read_field(L, value, f, desc, KEEPER))
            return 0;
        lua_settop(L, value - 1);
    }
    lua_getfield(L, ARG_PARAMS, "progress");
    value = lua_gettop(L);
    if (lua_isboolean(L, value) && lua_toboolean(L, value) && call != REQUEST)
        desc->progress = call == UPLOAD ? SORTIE_PROGRESS_UPLOAD : SORTIE_PROGRESS_DOWNLOAD;
    else if ((!lua_isboolean(L, value) || lua_toboolean(L, value)) && !lua_isnil(L, value) &&
             !read_field(L, value, &progress_field, desc, KEEPER))
        return 0;
    lua_getfield(L, ARG_PARAMS, "debug");
    value = lua_gettop(L);
    if (!lua_isnil(L, value) && !lua_isboolean(L, value))
        return wrong_type(L, "debug", "a boolean", value);
    *debug = lua_toboolean(L, value);
    if (!read_body(L, call == UPLOAD, desc) || !read_response(L, function, call == DOWNLOAD, desc))
        return 0;
    if (!lua_isnil(L, ARG_TYPE) && !read_text(L, ARG_TYPE, "contentType", KEEPER, &desc->content_type))
        return 0;
    lua_getfield(L, ARG_PARAMS, "headers");
    value = lua_gettop(L);
    return lua_isnil(L, value) || read_headers(L, value, "headers", desc->content_type ? "Content-Type" : NULL, KEEPER,
                                               &desc->headers, &desc->header_count);
}

/* Pushes a new handle and notes it in the record at an index, which becomes live. */
static request *push_handle(lua_State *L, network *n, int record)
{
    request *handle = lua_newuserdata(L, sizeof *handle);
    memset(handle, 0, sizeof *handle);
    handle->tag = &request_tag;
    handle->serial = n->next_serial++;
    handle->status = -1;
    push_store(L, STORE_HANDLE_META);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, record, RECORD_HANDLE);
    push_store(L, STORE_LIVE);
    push_whole(L, (int64_t)handle->serial);
    lua_pushvalue(L, record);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return handle;
}

/* Queues a request for the next poll, which tells that it is refused. */
static void refuse(lua_State *L, network *n, uint64_t serial)
{
    lua_pushnil(L);
    lua_rawseti(L, RECORD, RECORD_BODY);
    lua_pushvalue(L, ARG_URL);
    lua_rawseti(L, RECORD, RECORD_URL);
    lua_pushvalue(L, REASON);
    lua_rawseti(L, RECORD, RECORD_REFUSAL);
    push_store(L, STORE_REFUSED);
    push_whole(L, (int64_t)n->refused_end);
    push_whole(L, (int64_t)serial);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    n->refused_end++;
}

static int start(lua_State *L, call_kind call)
{
    network *n = here(L);
    sortie_request_desc desc = { .struct_size = sizeof desc };
    request *handle;
    int fine, debug = 0;
    luaL_checkstack(L, 40, "network");
    check_arguments(L, function_names[call], call != REQUEST);
    if (n->closed)
        return luaL_error(L, "%s: the Lua state is being closed", function_names[call]);
    lua_createtable(L, RECORD_REFUSAL, 0);
    lua_newtable(L);
    lua_pushvalue(L, ARG_LISTENER);
    lua_rawseti(L, RECORD, RECORD_LISTENER);
    fine = read_request(L, call, &desc, &debug);
    if (fine) {
        lua_settop(L, KEEPER);
        fine = make_client(L, n);
    } else {
        lua_pushfstring(L, "%s: %s", function_names[call], lua_tostring(L, -1));
    }
    if (fine)
        lua_pushnil(L);
    lua_insert(L, REASON);
    lua_settop(L, REASON);
    handle = push_handle(L, n, RECORD);
    handle->debug = debug;
    if (fine) {
        desc.user_data = handle->serial;
        /* Checked here, since what was allocated meanwhile may have run a finalizer that shut it down. */
        if (n->client && sortie_submit(n->client, &desc, &handle->id) == SORTIE_OK)
            return 1;
        if (n->client)
            push_refusal_message(L);
        else
            lua_pushliteral(L, "the client was shut down");
        lua_replace(L, REASON);
    }
    refuse(L, n, handle->serial);
    return 1;
}

static int network_request(lua_State *L)
{
    lua_settop(L, ARG_PARAMS);
    lua_settop(L, ARG_TYPE);
    return start(L, REQUEST);
}

/* Makes room for an argument that was left out. */
static void shift(lua_State *L, int from)
{
    lua_pushnil(L);
    lua_insert(L, from);
    lua_settop(L, ARG_TYPE);
}

static int network_download(lua_State *L)
{
    lua_settop(L, ARG_TYPE);
    if (lua_type(L, ARG_PARAMS) == LUA_TSTRING)
        shift(L, ARG_PARAMS);
    lua_settop(L, ARG_DIRECTORY);
    lua_settop(L, ARG_TYPE);
    return start(L, DOWNLOAD);
}

static int network_upload(lua_State *L)
{
    lua_settop(L, ARG_TYPE);
    if (lua_type(L, ARG_PARAMS) == LUA_TSTRING)
        shift(L, ARG_PARAMS);
    if (lua_type(L, ARG_DIRECTORY) == LUA_TSTRING)
        shift(L, ARG_DIRECTORY);
    return start(L, UPLOAD);
}

static int network_cancel(lua_State *L)
{
    network *n = here(L);
    request *handle;
    int live;
    lua_settop(L, 1);
    handle = to_request(L, 1);
    if (!handle)
        return raise_type(L, "network.cancel", "handle", "what network.request returned", 1);
    push_stored(L, STORE_LIVE, handle->serial);
    live = lua_istable(L, -1) && !handle->cancelled;
    if (live) {
        handle->cancelled = 1;
        lua_pushnil(L);
        lua_rawseti(L, -2, RECORD_LISTENER);
        if (n->client && handle->id)
            sortie_cancel(n->client, handle->id);
    }
    lua_pushboolean(L, live);
    return 1;
}

static int handle_tostring(lua_State *L)
{
    const request *handle = to_request(L, 1);
    char text[48];
    if (!handle)
        return raise_type(L, "__tostring", "self", "what network.request returned", 1);
    snprintf(text, sizeof text, "network request %.0f", (double)handle->serial);
    lua_pushstring(L, text);
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------------
 * Events. Each of these pushes or sets one part of the table that a listener is given.
 */
static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void set_whole(lua_State *L, const char *key, int64_t number)
{
    push_whole(L, number);
    lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, double number)
{
    lua_pushnumber(L, (lua_Number)number);
    lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, int holds)
{
    lua_pushboolean(L, holds);
    lua_setfield(L, -2, key);
}

typedef struct {
    const char *name;
    const char *value;
    uint32_t place;
} received_header;

static int compare_headers(const void *a, const void *b)
{
    const received_header *left = a, *right = b;
    int order = compare_names(left->name, right->name);
    return order ? order : (left->place > right->place) - (left->place < right->place);
}

/* The __index of responseHeaders: look-up whatever the letters' case. */
static int find_header(lua_State *L)
{
    lua_settop(L, 2);
    if (!lua_istable(L, 1) || lua_type(L, 2) != LUA_TSTRING)
        return 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && compare_names(lua_tostring(L, -2), lua_tostring(L, 2)) == 0)
            return 1;
        lua_pop(L, 1);
    }
    return 0;
}

/* Joins the `count` headers of one name. */
static void push_joined(lua_State *L, const received_header *headers, uint32_t count)
{
    const char *separator = compare_names(headers->name, "Set-Cookie") == 0 ? "," : ", ";
    luaL_Buffer buffer;
    uint32_t i;
    if (count == 1) {
        lua_pushstring(L, headers->value);
        return;
    }
    luaL_buffinit(L, &buffer);
    for (i = 0; i < count; i++) {
        if (i > 0)
            luaL_addstring(&buffer, separator);
        luaL_addstring(&buffer, headers[i].value);
    }
    luaL_pushresult(&buffer);
}

/* Pushes the table of `count` headers or trailers of an event, that `at` reads. */
static void push_fields(lua_State *L, const sortie_event *event, uint32_t count,
                        sortie_result (*at)(const sortie_event *, uint32_t, const char **, const char **))
{
    uint32_t i, run;
    lua_createtable(L, 0, (int)count + 1);
    if (count > 0) {
        /* Sorted, so that joining a thousand headers of one name costs no more than a thousand of different ones. */
        received_header *headers = lua_newuserdata(L, count * sizeof *headers);
        for (i = 0; i < count; i++) {
            headers[i].place = i;
            at(event, i, &headers[i].name, &headers[i].value);
        }
        qsort(headers, count, sizeof *headers, compare_headers);
        for (i = 0; i < count; i += run) {
            for (run = 1; i + run < count && compare_names(headers[i].name, headers[i + run].name) == 0; run++)
                continue;
            lua_pushstring(L, headers[i].name);
            push_joined(L, headers + i, run);
            lua_rawset(L, -4);
        }
        lua_pop(L, 1);
    }
    push_store(L, STORE_HEADERS_META);
    lua_setmetatable(L, -2);
}

/* Pushes the table of an event's headers; NULL has none. */
static void push_headers(lua_State *L, const sortie_event *event)
{
    push_fields(L, event, sortie_event_header_count(event), sortie_event_header_at);
    if (sortie_event_status_line(event)) {
        lua_pushliteral(L, "HTTP-STATUS-LINE");
        lua_pushstring(L, sortie_event_status_line(event));
        lua_rawset(L, -3);
    }
}

static void push_debug(lua_State *L, const sortie_event *event)
{
    static const char *const sources[] = {
        "", "header", "byte order mark", "XML declaration", "meta charset", "meta http-equiv", "assumed"
    };
    sortie_timing timing = { .struct_size = sizeof timing };
    uint32_t source = 0;
    const char *charset = sortie_event_charset(event, &source);
    const char *url = sortie_event_effective_url(event);
    lua_createtable(L, 0, 11);
    if (charset) {
        set_text(L, "charset", charset);
        set_text(L, "charsetSource", source < sizeof sources / sizeof *sources ? sources[source] : "");
    }
    if (url)
        set_text(L, "url", url);
    if (sortie_event_timing(event, &timing) == SORTIE_OK) {
        set_whole(L, "attempts", event->attempts);
        set_boolean(L, "credentialsUnused", (event->flags & SORTIE_EVENT_CREDENTIALS_UNUSED) != 0);
        set_whole(L, "redirects", timing.redirects);
        set_number(L, "queued", (double)timing.queued_us / 1e6);
        set_number(L, "nameLookup", (double)timing.name_lookup_us / 1e6);
        set_number(L, "connect", (double)timing.connect_us / 1e6);
        set_number(L, "tls", (double)timing.tls_us / 1e6);
        set_number(L, "firstByte", (double)timing.first_byte_us / 1e6);
        set_number(L, "total", (double)timing.total_us / 1e6);
    }
}

/* Sets `response` and `responseType` of an `ended` event. */
static void set_response(lua_State *L, const sortie_event *event, int record)
{
    int binary = 0;
    if (event->error != SORTIE_ERROR_NONE) {
        lua_pushstring(L, event->message ? event->message : sortie_error_string(event->error));
    } else if (event->file_path) {
        binary = 1;
        lua_createtable(L, 0, 3);
        lua_rawgeti(L, record, RECORD_FILENAME);
        lua_setfield(L, -2, "filename");
        lua_rawgeti(L, record, RECORD_DIRECTORY);
        lua_setfield(L, -2, "baseDirectory");
        set_text(L, "fullPath", event->file_path);
    } else {
        binary = event->body_kind == SORTIE_BODY_BINARY;
        lua_pushlstring(L, event->body ? event->body : "", (size_t)event->body_length);
    }
    lua_setfield(L, -2, "response");
    set_text(L, "responseType", binary ? "binary" : "text");
}

/* Pushes what all events of requests have. */
static void push_event_table(lua_State *L, int record, const char *phase, const char *url, int is_error)
{
    lua_createtable(L, 0, 12);
    set_text(L, "name", "networkRequest");
    set_text(L, "phase", phase);
    set_boolean(L, "isError", is_error);
    set_text(L, "url", url);
    lua_rawgeti(L, record, RECORD_HANDLE);
    lua_setfield(L, -2, "requestId");
}

static void push_request_event(lua_State *L, const sortie_event *event, request *handle, int record)
{
    int failed = event->error != SORTIE_ERROR_NONE;
    const char *phase = event->type == SORTIE_EVENT_BEGAN ? "began"
                        : event->type == SORTIE_EVENT_PROGRESS ? "progress" : "ended";
    push_event_table(L, record, phase, event->url, failed);
    set_whole(L, "bytesTransferred", (int64_t)event->bytes_transferred);
    set_whole(L, "bytesEstimated", event->bytes_estimated);
    if (event->type == SORTIE_EVENT_ENDED) {
        uint32_t trailers = sortie_event_trailer_count(event);
        set_response(L, event, record);
        set_whole(L, "status", failed ? -1 : event->status);
        if (trailers > 0) {
            push_fields(L, event, trailers, sortie_event_trailer_at);
            lua_setfield(L, -2, "responseTrailers");
        }
        push_headers(L, event);
        if (handle->debug) {
            push_debug(L, event);
            lua_setfield(L, -3, "debug");
        }
    } else {
        if (event->status)
            handle->status = event->status;
        set_whole(L, "status", handle->status);
        lua_rawgeti(L, record, RECORD_HEADERS);
        if (event->type == SORTIE_EVENT_BEGAN || lua_isnil(L, -1)) {
            lua_pop(L, 1);
            push_headers(L, event);
            lua_pushvalue(L, -1);
            lua_rawseti(L, record, RECORD_HEADERS);
        }
    }
    lua_setfield(L, -2, "responseHeaders");
}

/* Pushes the event of a request that never reached the client. */
static void push_refusal(lua_State *L, int record)
{
    lua_rawgeti(L, record, RECORD_URL);
    push_event_table(L, record, "ended", lua_tostring(L, -1), 1);
    lua_remove(L, -2);
    set_whole(L, "status", -1);
    set_whole(L, "bytesTransferred", 0);
    set_whole(L, "bytesEstimated", 0);
    lua_rawgeti(L, record, RECORD_REFUSAL);
    lua_setfield(L, -2, "response");
    set_text(L, "responseType", "text");
    push_headers(L, NULL);
    lua_setfield(L, -2, "responseHeaders");
}

static void push_status_event(lua_State *L, const sortie_event *event)
{
    lua_createtable(L, 0, 8);
    set_text(L, "name", "networkStatus");
    set_text(L, "address", event->url);
    set_boolean(L, "isReachable", (event->network & SORTIE_NETWORK_REACHABLE) != 0);
    set_boolean(L, "isConnectionRequired", (event->network & SORTIE_NETWORK_CONNECTION_REQUIRED) != 0);
    set_boolean(L, "isConnectionOnDemand", (event->network & SORTIE_NETWORK_CONNECTION_ON_DEMAND) != 0);
    set_boolean(L, "isInteractionRequired", (event->network & SORTIE_NETWORK_INTERACTION_REQUIRED) != 0);
    set_boolean(L, "isReachableViaCellular", (event->network & SORTIE_NETWORK_CELLULAR) != 0);
    set_boolean(L, "isReachableViaWiFi", (event->network & SORTIE_NETWORK_WIFI) != 0);
}

/* ------------------------------------------------------------------------------------------------------------------
 * Delivery.
 */

/* listener:method(event), called with the three. */
static int call_method(lua_State *L)
{
    lua_settop(L, 3);
    lua_gettable(L, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 0);
    return 0;
}

/* Pushes the listener of a record and what calls it; the event goes on top. Returns 0 if there is none. */
static int push_listener(lua_State *L, int record)
{
    push_store(L, STORE_DESCRIBE_ERROR);
    lua_rawgeti(L, record, RECORD_LISTENER);
    if (lua_istable(L, -1)) {
        push_store(L, STORE_CALL_METHOD);
        lua_insert(L, -2);
    }
    return !lua_isnil(L, -1);
}

/* Calls what push_listener() pushed above the record, with the event on top. */
static void call_listener(lua_State *L, int record)
{
    if (lua_pcall(L, lua_gettop(L) - record - 2, 0, record + 1) != 0)
        report_error(L);
}

/* Pushes a table listener's method, which its caller looks up by itself. */
static void push_method(lua_State *L, int record, const char *method)
{
    if (lua_gettop(L) - record > 3)
        lua_pushstring(L, method);
}

/* Takes an event from the client, unless one waits already. */
static int take_event(network *n)
{
    if (!n->has_event && n->client)
        n->has_event = sortie_poll(n->client, &n->event, 1) == 1;
    return n->has_event;
}

/* Delivers the event that was taken. Until all is ready for its listener, it stays the one to deliver. Returns 1 if it
 * was told, 0 if nobody listens, and -1 if it has to wait for the next poll. */
static int deliver_event(lua_State *L, network *n, uint64_t first_new)
{
    const sortie_event *event = &n->event;
    const uint64_t serial = event->user_data;
    int record, told = 0, ended = event->type == SORTIE_EVENT_ENDED;
    request *handle = NULL;
    if (serial >= first_new)
        return -1;
    n->building = 1;
    push_stored(L, STORE_LIVE, serial);
    record = lua_gettop(L);
    if (lua_istable(L, record)) {
        lua_rawgeti(L, record, RECORD_HANDLE);
        handle = to_request(L, -1);
        lua_pop(L, 1);
    }
    if (handle) {
        if (event->type == SORTIE_EVENT_PROGRESS) {
            if (handle->turn == n->turn)
                return -1;
            handle->turn = n->turn;
        }
        if (push_listener(L, record)) {
            if (event->type == SORTIE_EVENT_REACHABILITY) {
                push_status_event(L, event);
                push_method(L, record, "networkStatus");
            } else {
                push_request_event(L, event, handle, record);
                push_method(L, record, "networkRequest");
            }
            /* A finalizer may have cancelled it while the event was made. */
            told = !handle->cancelled;
        }
    }
    if (ended)
        forget(L, STORE_LIVE, serial);
    n->building = 0;
    n->has_event = 0;
    if (told)
        call_listener(L, record);
    return told;
}

/* Delivers the first of the refused requests. */
static int deliver_refusal(lua_State *L, network *n)
{
    int record, told = 0;
    uint64_t serial;
    n->building = 1;
    push_stored(L, STORE_REFUSED, n->refused_begin);
    serial = (uint64_t)lua_tonumber(L, -1);
    push_stored(L, STORE_LIVE, serial);
    record = lua_gettop(L);
    if (lua_istable(L, record) && push_listener(L, record)) {
        push_refusal(L, record);
        push_method(L, record, "networkRequest");
        lua_rawgeti(L, record, RECORD_LISTENER);
        told = !lua_isnil(L, -1);
        lua_pop(L, 1);
    }
    forget(L, STORE_LIVE, serial);
    forget(L, STORE_REFUSED, n->refused_begin);
    n->building = 0;
    n->refused_begin++;
    if (told)
        call_listener(L, record);
    return told;
}

/* Takes the budget; gives the number of events told. What begins meanwhile waits for the next poll, so that a listener
 * which starts a new request each time does not keep the frame for ever. */
static int deliver_events(lua_State *L)
{
    network *n = here(L);
    const double budget = (double)lua_tonumber(L, 1), begin = budget >= 0 ? milliseconds() : 0;
    const uint64_t first_new = n->next_serial, refused_end = n->refused_end;
    int count = 0;
    /* The event that is being made must stay as it is. */
    if (n->building)
        return luaL_error(L, "network.poll: called by a finalizer while an event is made");
    luaL_checkstack(L, 40, "network");
    n->turn++;
    while (!n->suspended) {
        int told;
        lua_settop(L, 1);
        if (n->refused_begin < refused_end)
            told = deliver_refusal(L, n);
        else if (take_event(n))
            told = deliver_event(L, n, first_new);
        else
            break;
        if (told < 0)
            break;
        count += told;
        if (budget >= 0 && milliseconds() - begin >= budget)
            break;
    }
    lua_pushinteger(L, count);
    return 1;
}

static int network_poll(lua_State *L)
{
    network *n = here(L);
    lua_Number budget = -1;
    int failed;
    if (!lua_isnoneornil(L, 1)) {
        budget = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : -1;
        if (!(budget >= 0))
            return raise_type(L, "network.poll", "budget", "a number of milliseconds, not below 0", 1);
    }
    if (n->polling)
        return luaL_error(L, "network.poll: called from within network.poll, by a listener");
    if (n->suspended || (n->refused_begin == n->refused_end && !take_event(n))) {
        lua_pushinteger(L, 0);
        return 1;
    }
    push_store(L, STORE_DELIVER);
    lua_pushnumber(L, budget);
    n->polling = 1;
    failed = lua_pcall(L, 1, 1, 0);
    n->polling = 0;
    n->building = 0;
    return failed ? lua_error(L) : 1;
}

/* ------------------------------------------------------------------------------------------------------------------
 * Reachability.
 */
static int network_set_status_listener(lua_State *L)
{
    static const char function[] = "network.setStatusListener";
    network *n = here(L);
    sortie_client *client;
    request *watch, *former;
    lua_settop(L, 2);
    if (lua_type(L, 1) != LUA_TSTRING)
        return raise_type(L, function, "host", "a string", 1);
    if (!lua_isnil(L, 2) && !is_listener(L, 2, "networkStatus"))
        return raise_type(L, function, "listener", "a function, a table with a method 'networkStatus' or nil", 2);
    if (has_nul(L, 1))
        return luaL_error(L, "%s: 'host' has a NUL character", function);
    if (lua_isnil(L, 2) && !n->client)
        return 0;
    if (!make_client(L, n))
        return luaL_error(L, "%s: %s", function, lua_tostring(L, -1));
    push_store(L, STORE_WATCHES); /* 3 */
    lua_pushvalue(L, 1);
    lua_rawget(L, 3); /* 4: the former watch's handle, which has to stay until it is unwatched */
    if (lua_isnil(L, 2)) {
        lua_pushvalue(L, 1);
        lua_pushnil(L);
        lua_rawset(L, 3);
    } else {
        lua_createtable(L, RECORD_LISTENER, 0); /* 5 */
        lua_pushvalue(L, 2);
        lua_rawseti(L, 5, RECORD_LISTENER);
        watch = push_handle(L, n, 5); /* 6 */
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 6);
        lua_rawset(L, 3);
        client = n->client;
        if (!client || sortie_reachability_watch(client, lua_tostring(L, 1), watch->serial, &watch->id) != SORTIE_OK) {
            forget(L, STORE_LIVE, watch->serial);
            lua_pushvalue(L, 1);
            lua_pushvalue(L, 4);
            lua_rawset(L, 3);
            push_refusal_message(L);
            return luaL_error(L, "%s: %s", function, client ? lua_tostring(L, -1) : "the client was shut down");
        }
    }
    former = to_request(L, 4);
    if (former) {
        former->cancelled = 1;
        forget(L, STORE_LIVE, former->serial);
        if (n->client)
            sortie_reachability_unwatch(n->client, former->id);
    }
    return 0;
}

static int network_get_connection_status(lua_State *L)
{
    network *n = here(L);
    uint32_t flags = make_client(L, n) ? sortie_client_network(n->client) : 0;
    lua_createtable(L, 0, 2);
    set_boolean(L, "isConnected", (flags & SORTIE_NETWORK_REACHABLE) != 0);
    set_boolean(L, "isMobile", (flags & SORTIE_NETWORK_CELLULAR) != 0);
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------------
 * The rest.
 */
static int network_wait(lua_State *L)
{
    network *n = here(L);
    double wanted = lua_type(L, 1) == LUA_TNUMBER ? ceil((double)lua_tonumber(L, 1) * 1000) : -1;
    if (!(wanted >= 0))
        return raise_type(L, "network.wait", "seconds", "a number, not below 0", 1);
    if (!n->suspended && (n->has_event || n->refused_begin != n->refused_end)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (!make_client(L, n))
        return luaL_error(L, "network.wait: %s", lua_tostring(L, -1));
    lua_pushboolean(L, sortie_wait(n->client, wanted < 4294967295.0 ? (uint32_t)wanted : 4294967295u) == 1);
    return 1;
}

static int network_suspend(lua_State *L)
{
    network *n = here(L);
    n->suspended = 1;
    if (n->client)
        sortie_client_suspend(n->client);
    return 0;
}

static int network_resume(lua_State *L)
{
    network *n = here(L);
    n->suspended = 0;
    if (n->client)
        sortie_client_resume(n->client);
    return 0;
}

static int network_shutdown(lua_State *L)
{
    network *n = here(L);
    sortie_client *client;
    if (n->building)
        return luaL_error(L, "network.shutdown: called by a finalizer while an event is made");
    lua_settop(L, 0);
    push_store(L, STORE_LIVE);
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L);
    client = n->client;
    n->client = NULL;
    n->has_event = 0;
    n->suspended = 0;
    n->refused_begin = n->refused_end; /* not 0: a poll may be under way */
    /* First the client, then the bodies that were lent to it. */
    sortie_client_destroy(client);
    lua_rawseti(L, STORE, STORE_WATCHES);
    lua_rawseti(L, STORE, STORE_REFUSED);
    lua_rawseti(L, STORE, STORE_LIVE);
    return 0;
}

static int network_path_for_file(lua_State *L)
{
    uint32_t directory = SORTIE_DIRECTORY_DOCUMENTS;
    lua_settop(L, 2);
    if (!lua_isnil(L, 1) && lua_type(L, 1) != LUA_TSTRING)
        return raise_type(L, "network.pathForFile", "filename", "a string or nil", 1);
    if (!lua_isnil(L, 2))
        directory = find_directory(L, 2);
    if (!directory)
        return raise_type(L, "network.pathForFile", "baseDirectory", "a system directory constant", 2);
    push_path(L, directory);
    if (!lua_isnil(L, 1)) {
        lua_pushliteral(L, "/");
        lua_pushvalue(L, 1);
        lua_concat(L, 3);
    }
    return 1;
}

static int network_get_timer(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)(milliseconds() - here(L)->loaded_at));
    return 1;
}

static int network_stats(lua_State *L)
{
    network *n = here(L);
    sortie_stats stats = { .struct_size = sizeof stats };
    if (n->client)
        sortie_client_stats(n->client, &stats);
    lua_createtable(L, 0, 10);
    set_whole(L, "waiting", stats.waiting);
    set_whole(L, "active", stats.active);
    set_whole(L, "undrained", stats.undrained);
    set_whole(L, "submitted", (int64_t)stats.submitted);
    set_whole(L, "ended", (int64_t)stats.ended);
    set_whole(L, "failed", (int64_t)stats.failed);
    set_whole(L, "bytesReceived", (int64_t)stats.bytes_received);
    set_whole(L, "bytesSent", (int64_t)stats.bytes_sent);
    set_whole(L, "bufferedBytes", (int64_t)stats.buffered_bytes);
    set_whole(L, "connections", (int64_t)stats.connections);
    return 1;
}

/* Gives true, or nil and why not. */
static int push_result(lua_State *L, sortie_result result)
{
    if (result == SORTIE_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    push_refusal_message(L);
    return 2;
}

/* The same for the message on the stack's top. */
static int push_failure(lua_State *L)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int network_set_cookie(lua_State *L)
{
    network *n = here(L);
    int i;
    lua_settop(L, 2);
    for (i = 1; i <= 2; i++) {
        const char *parameter = i == 1 ? "url" : "cookie";
        if (lua_type(L, i) != LUA_TSTRING)
            return raise_type(L, "network.setCookie", parameter, "a string", i);
        if (has_nul(L, i)) {
            lua_pushfstring(L, "'%s' has a NUL character", parameter);
            return push_failure(L);
        }
    }
    if (!make_client(L, n))
        return push_failure(L);
    return push_result(L, sortie_client_set_cookie(n->client, lua_tostring(L, 1), lua_tostring(L, 2)));
}

/* The cookies that a URL would be sent; or nil, and why they cannot be told. */
static int network_get_cookies(lua_State *L)
{
    network *n = here(L);
    char *room;
    int64_t length, capacity = 1024;
    lua_settop(L, 1);
    if (lua_type(L, 1) != LUA_TSTRING)
        return raise_type(L, "network.getCookies", "url", "a string", 1);
    if (has_nul(L, 1)) {
        lua_pushliteral(L, "'url' has a NUL character");
        return push_failure(L);
    }
    for (;;) {
        if (!make_client(L, n))
            return push_failure(L);
        room = lua_newuserdata(L, (size_t)capacity);
        /* Making room can run a finalizer that shuts the client down. */
        length = sortie_client_cookies(n->client, lua_tostring(L, 1), room, (uint64_t)capacity);
        if (length < 0)
            return push_result(L, (sortie_result)length);
        if (length < capacity) {
            lua_pushlstring(L, room, (size_t)length);
            return 1;
        }
        /* Others may come meanwhile. */
        capacity = length + 1;
        lua_settop(L, 1);
    }
}

static int network_clear_cookies(lua_State *L)
{
    network *n = here(L);
    /* Needs a client: a cookie file may hold some. */
    if (!make_client(L, n))
        return push_failure(L);
    return push_result(L, sortie_client_clear_cookies(n->client));
}

/* lua_close() comes by. Other finalizers may still call the module's functions. */
static int network_close(lua_State *L)
{
    network *n = our(L, 1, &network_tag, sizeof *n);
    sortie_client *client;
    if (!n)
        return 0;
    client = n->client;
    n->client = NULL;
    n->has_event = 0;
    n->closed = 1;
    sortie_client_destroy(client);
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------------
 * The module.
 */
static const luaL_Reg functions[] = {
    { "request", network_request },
    { "download", network_download },
    { "upload", network_upload },
    { "cancel", network_cancel },
    { "poll", network_poll },
    { "configure", network_configure },
    { "wait", network_wait },
    { "suspend", network_suspend },
    { "resume", network_resume },
    { "shutdown", network_shutdown },
    { "pathForFile", network_path_for_file },
    { "getTimer", network_get_timer },
    { "stats", network_stats },
    { "setStatusListener", network_set_status_listener },
    { "getConnectionStatus", network_get_connection_status },
    { "setCookie", network_set_cookie },
    { "getCookies", network_get_cookies },
    { "clearCookies", network_clear_cookies },
    { NULL, NULL }
};

/* What luaopen_network() has on the stack. */
enum { AT_STORE = 1, AT_NETWORK, AT_MODULE };

static void push_function(lua_State *L, lua_CFunction function)
{
    lua_pushvalue(L, AT_NETWORK);
    lua_pushvalue(L, AT_STORE);
    lua_pushcclosure(L, function, 2);
}

static void store_table(lua_State *L, int which)
{
    lua_newtable(L);
    lua_rawseti(L, AT_STORE, which);
}

/* Pushes a metatable with one metamethod, which getmetatable() does not show and setmetatable() does not exchange. */
static void push_metatable(lua_State *L, const char *metamethod, lua_CFunction function)
{
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, metamethod);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

static void store_metatable(lua_State *L, int which, const char *metamethod, lua_CFunction function)
{
    push_metatable(L, metamethod, function);
    lua_rawseti(L, AT_STORE, which);
}

static void store_function(lua_State *L, int which, lua_CFunction function)
{
    push_function(L, function);
    lua_rawseti(L, AT_STORE, which);
}

static void store_error_handler(lua_State *L)
{
    lua_pushvalue(L, AT_NETWORK);
    lua_pushvalue(L, AT_STORE);
    lua_getglobal(L, "debug");
    if (lua_istable(L, -1))
        lua_getfield(L, -1, "traceback");
    else
        lua_pushnil(L);
    lua_remove(L, -2);
    lua_pushcclosure(L, describe_error, 3);
    lua_rawseti(L, AT_STORE, STORE_DESCRIBE_ERROR);
}

static void make_directories(lua_State *L)
{
    uint32_t i;
    store_metatable(L, STORE_DIRECTORY_META, "__tostring", directory_tostring);
    lua_newtable(L);
    for (i = 1; i <= DIRECTORIES; i++) {
        directory_constant *constant = lua_newuserdata(L, sizeof *constant);
        memset(constant, 0, sizeof *constant);
        constant->tag = &directory_tag;
        constant->number = i;
        lua_rawgeti(L, AT_STORE, STORE_DIRECTORY_META);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_setfield(L, AT_MODULE, directory_names[i]);
        lua_rawseti(L, -2, (int)i);
    }
    lua_rawseti(L, AT_STORE, STORE_DIRECTORIES);
}

EXPORT int luaopen_network(lua_State *L)
{
    static char key;
    const luaL_Reg *function;
    network *n;
#if LUA_VERSION_NUM >= 502
    luaL_checkversion(L);
#endif
    if (sortie_abi_version() < SORTIE_ABI_VERSION)
        return luaL_error(L, "network: the Sortie library is older than this module: its ABI is %d, %d is needed",
                          (int)sortie_abi_version(), SORTIE_ABI_VERSION);
    lua_settop(L, 0);
    /* One client for a Lua state, also when the module is loaded anew. */
    lua_pushlightuserdata(L, &key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_istable(L, AT_STORE)) {
        lua_rawgeti(L, AT_STORE, STORE_MODULE);
        return 1;
    }
    lua_settop(L, 0);
    luaL_checkstack(L, 20, "network");

    lua_newtable(L);
    n = lua_newuserdata(L, sizeof *n);
    memset(n, 0, sizeof *n);
    n->tag = &network_tag;
    n->next_serial = 1;
    n->loaded_at = milliseconds();
    lua_newtable(L);

    push_metatable(L, "__gc", network_close);
    lua_setmetatable(L, AT_NETWORK);
    /* A finalizer's object keeps what it refers to: bodies that were lent outlive the client. */
    lua_pushvalue(L, AT_STORE);
    set_uservalue(L, AT_NETWORK);
    lua_pushvalue(L, AT_NETWORK);
    lua_rawseti(L, AT_STORE, STORE_NETWORK);
    lua_pushvalue(L, AT_MODULE);
    lua_rawseti(L, AT_STORE, STORE_MODULE);

    store_table(L, STORE_LIVE);
    store_table(L, STORE_REFUSED);
    store_table(L, STORE_WATCHES);
    store_table(L, STORE_SETTINGS);
    store_table(L, STORE_WARNED);
    store_metatable(L, STORE_HANDLE_META, "__tostring", handle_tostring);
    store_metatable(L, STORE_HEADERS_META, "__index", find_header);
    store_function(L, STORE_DELIVER, deliver_events);
    store_function(L, STORE_CALL_METHOD, call_method);
    store_error_handler(L);
    make_directories(L);

    for (function = functions; function->name; function++) {
        push_function(L, function->func);
        lua_setfield(L, AT_MODULE, function->name);
    }
    lua_pushboolean(L, 1);
    lua_setfield(L, AT_MODULE, "canDetectNetworkStatusChanges");
    lua_pushstring(L, sortie_version());
    lua_setfield(L, AT_MODULE, "version");

    lua_pushlightuserdata(L, &key);
    lua_pushvalue(L, AT_STORE);
    lua_rawset(L, LUA_REGISTRYINDEX);
    lua_settop(L, AT_MODULE);
    return 1;
}
