-- Runs the behaviour tests.
--
--   lua run.lua                  every file, each in a process of its own
--   lua run.lua FILE [NAME]      the tests of one file, or one of them, in this process
--   lua run.lua --table FILE     whether each test that a table in FILE names exists
--
-- SORTIE_TEST_SERVER, SORTIE_TEST_SERVER_TLS and SORTIE_TEST_CA tell where the servers are, SORTIE_TEST_HOST is the
-- program of host.c, which runs the file `closing`; LUA_PATH and LUA_CPATH find the binding. `cargo xtask test --only
-- lua` sees to all of it.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local files = {
    "functions", "params", "files", "event", "progress", "text", "redirects", "application", "status", "beyond",
    "solar2d", "bad_input", "collector", "soak", "closing", "samples",
}

-- These need more: time, root's rights, a program.
local others = { "slow", "namespace", "love" }

local function quoted(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Runs the tests of one file here.
local function run_file(name, only)
    local support = require "support"
    dofile(here .. name .. ".lua")
    local passed, failed = 0, 0
    for _, case in ipairs(support.cases) do
        if not only or case.name == only then
            local fine, why = xpcall(function()
                case.run()
                support.settle()
            end, function(message)
                return debug.traceback(tostring(message), 2)
            end)
            if fine then
                passed = passed + 1
            else
                failed = failed + 1
                io.write("FAILED ", name, ".lua ", case.name, "\n", tostring(why), "\n")
                support.recover()
            end
        end
    end
    support.finish()
    io.write(string.format("%-12s %3d passed, %d failed\n", name, passed, failed))
    for _, why in ipairs(support.skipped) do
        io.write("SKIPPED ", name, ".lua ", why, "\n")
    end
    io.flush()
    return failed == 0 and passed > 0
end

--- Runs every file in a process of its own, so that each can set the client up as it likes.
local function run_all()
    local interpreter, i = arg[-1], -1
    while arg[i - 1] do
        i = i - 1
        interpreter = arg[i]
    end
    local fine = true
    local host = os.getenv("SORTIE_TEST_HOST")
    for _, name in ipairs(files) do
        local program = interpreter
        if name == "closing" then
            program = assert(host, "SORTIE_TEST_HOST must be the program of host.c")
        end
        -- 0 in Lua 5.1, true since 5.2.
        local result = os.execute(quoted(program) .. " " .. quoted(arg[0]) .. " " .. name)
        fine = fine and (result == 0 or result == true)
    end
    return fine
end

--- Checks tables whose rows end in "| `file.lua` | name |".
local function check_table(path)
    local support = require "support"
    support.only_list = true
    local exists = {}
    for _, list in ipairs({ files, others }) do
        for _, name in ipairs(list) do
            support.cases = {}
            dofile(here .. name .. ".lua")
            for _, case in ipairs(support.cases) do
                local key = name .. ".lua " .. case.name
                assert(not exists[key], "two tests have one name: " .. key)
                exists[key] = true
            end
        end
    end
    local problems, rows = {}, 0
    for line in io.lines(path) do
        local file, name = line:match("| `([%w_]+%.lua)` | (.-) |$")
        if file then
            rows = rows + 1
            if not exists[file .. " " .. name] then
                problems[#problems + 1] = "there is no test " .. file .. " " .. name
            end
        end
    end
    for _, problem in ipairs(problems) do
        io.write(problem, "\n")
    end
    io.write(string.format("%d rows, %d wrong\n", rows, #problems))
    return rows > 0 and #problems == 0
end

local fine
if not arg[1] then
    fine = run_all()
elseif arg[1] == "--table" then
    fine = check_table(arg[2])
else
    fine = run_file((arg[1]:gsub("%.lua$", "")), arg[2])
end
-- A program that runs to its end closes the state in every Lua, so that leak checkers see what is left.
if not fine then
    os.exit(1)
end
