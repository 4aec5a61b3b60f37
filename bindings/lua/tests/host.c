/*
 * A C program that embeds Lua, as a game does: it makes states, closes them at any moment, and lets memory run out.
 *
 *   host SCRIPT [ARGUMENTS]
 *
 * The script has a global table `host`:
 *
 *   host.new()              a new state, with its libraries and this one's package.path and package.cpath
 *   host.run(state, code)   runs a piece of Lua there; gives true and its first result if that is a string, or false
 *                           and the error's message
 *   host.close(state)       lua_close()
 *   host.starve(n, f)       calls f while the n-th allocation and all after it fail; gives lua_pcall()'s status,
 *                           whether one failed, and the error. Missing where the allocator cannot be chosen (LuaJIT
 *                           on some machines).
 */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* How a state allocates. */
typedef struct {
    long countdown; /* allocations until they fail; 0: never */
    int failing;
} Memory;

static void *allocate(void *data, void *block, size_t old_size, size_t new_size)
{
    Memory *memory = data;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    /* Shrinking never fails: Lua relies on it. Of a new block, old_size tells a type. */
    if (block == NULL || new_size > old_size) {
        if (memory->countdown > 0 && --memory->countdown == 0)
            memory->failing = 1;
        if (memory->failing)
            return NULL;
    }
    return realloc(block, new_size);
}

static Memory main_memory;
static int chooses_allocator;

static lua_State *new_state(Memory *memory)
{
    lua_State *L = NULL;
    if (memory != NULL)
        L = lua_newstate(allocate, memory);
    if (L == NULL)
        L = luaL_newstate();
    else
        chooses_allocator = 1;
    if (L == NULL) {
        fputs("no memory for a state\n", stderr);
        exit(2);
    }
    luaL_openlibs(L);
    return L;
}

static lua_State **check_state(lua_State *L)
{
    lua_State **other = luaL_checkudata(L, 1, "host.state");
    luaL_argcheck(L, *other != NULL, 1, "the state is closed");
    return other;
}

static void copy_package_field(lua_State *from, lua_State *to, const char *name)
{
    lua_getglobal(from, "package");
    lua_getfield(from, -1, name);
    lua_getglobal(to, "package");
    lua_pushstring(to, lua_tostring(from, -1));
    lua_setfield(to, -2, name);
    lua_pop(to, 1);
    lua_pop(from, 2);
}

static int host_new(lua_State *L)
{
    lua_State **other = lua_newuserdata(L, sizeof *other);
    *other = NULL;
    luaL_getmetatable(L, "host.state");
    lua_setmetatable(L, -2);
    *other = new_state(NULL);
    copy_package_field(L, *other, "path");
    copy_package_field(L, *other, "cpath");
    return 1;
}

static int host_run(lua_State *L)
{
    lua_State *other = *check_state(L);
    size_t length;
    const char *code = luaL_checklstring(L, 2, &length);
    int status = luaL_loadbuffer(other, code, length, "piece");
    if (status == 0)
        status = lua_pcall(other, 0, 1, 0);
    lua_pushboolean(L, status == 0);
    lua_pushstring(L, lua_tostring(other, -1));
    lua_pop(other, 1);
    return 2;
}

static int host_close(lua_State *L)
{
    lua_State **other = check_state(L);
    lua_close(*other);
    *other = NULL;
    return 0;
}

static int host_starve(lua_State *L)
{
    long count = (long)luaL_checkinteger(L, 1);
    int status, failed;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    main_memory.failing = 0;
    main_memory.countdown = count;
    status = lua_pcall(L, 0, 0, 0);
    failed = main_memory.failing;
    main_memory.countdown = 0;
    main_memory.failing = 0;
    lua_settop(L, 2);
    lua_pushinteger(L, status);
    lua_insert(L, 2);
    lua_pushboolean(L, failed);
    lua_insert(L, 3);
    return 3;
}

int main(int count, char **arguments)
{
    lua_State *L;
    int i, status;
    if (count < 2) {
        fputs("usage: host SCRIPT [ARGUMENTS]\n", stderr);
        return 2;
    }
    L = new_state(&main_memory);
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, host_new);
    lua_setfield(L, -2, "new");
    lua_pushcfunction(L, host_run);
    lua_setfield(L, -2, "run");
    lua_pushcfunction(L, host_close);
    lua_setfield(L, -2, "close");
    if (chooses_allocator) {
        lua_pushcfunction(L, host_starve);
        lua_setfield(L, -2, "starve");
    }
    lua_setglobal(L, "host");
    luaL_newmetatable(L, "host.state");
    lua_pop(L, 1);

    /* As the stand-alone interpreter has it. */
    lua_createtable(L, count - 2, 2);
    for (i = 0; i < count; i++) {
        lua_pushstring(L, arguments[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");

    status = luaL_loadfile(L, arguments[1]);
    if (status == 0)
        status = lua_pcall(L, 0, 0, 0);
    if (status != 0)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    return status != 0;
}
