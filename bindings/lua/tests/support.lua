-- What the tests stand on: where the servers are, a client set up for tests, waiting for events, and assertions.

local network = require "network"

local support = {
    network = network,
    --- Registered tests, in order.
    cases = {},
    --- Why tests were left out.
    skipped = {},
    --- Only names are wanted: nothing is set up.
    only_list = false,
    --- What onError and onWarning have been told since the last test.
    errors = {},
    warnings = {},
    --- How long anything may take before a test fails, in seconds. Far more than any of it needs.
    deadline = tonumber(os.getenv("SORTIE_TEST_DEADLINE")) or 60,
}

local server = os.getenv("SORTIE_TEST_SERVER") or ""
local secure = os.getenv("SORTIE_TEST_SERVER_TLS") or ""
support.ca_file = os.getenv("SORTIE_TEST_CA")
support.here = _G.arg[0]:match("^(.*/)") or "./"

function support.test(name, run)
    support.cases[#support.cases + 1] = { name = name, run = run }
end

function support.skip(why)
    support.skipped[#support.skipped + 1] = why
end

-- Addresses ----------------------------------------

--- A URL of the server without TLS, under another host name if one is given.
function support.url(path, host)
    return (host and server:gsub("127%.0%.0%.1", host, 1) or server) .. path
end

--- A URL of the server with TLS.
function support.secure_url(path, host)
    return (host and secure:gsub("127%.0%.0%.1", host, 1) or secure) .. path
end

function support.port()
    return tonumber(server:match(":(%d+)$"))
end

function support.secure_port()
    return tonumber(secure:match(":(%d+)$"))
end

local function escaped(text)
    return (text:gsub("[^%w%-_.~]", function(c)
        return string.format("%%%02X", c:byte())
    end))
end
support.escaped = escaped

local function hexadecimal(bytes)
    return (bytes:gsub(".", function(c)
        return string.format("%02x", c:byte())
    end))
end

--- The path of an answer with this status, these headers ("Name: value") and this body.
function support.reply(answer)
    local words = { "hex=" .. hexadecimal(answer.body or "") }
    for _, header in ipairs(answer) do
        words[#words + 1] = "header=" .. escaped(header)
    end
    if answer.status then
        words[#words + 1] = "status=" .. answer.status
    end
    if answer.times then
        words[#words + 1] = string.format("times=%.0f", answer.times)
    end
    return "/reply?" .. table.concat(words, "&")
end

local serial = 0
--- A word that no other test uses, in this process or another, for gates and files.
function support.unique(word)
    serial = serial + 1
    return string.format("%s-%s-%d", word, support.folder():match("%w+$"), serial)
end

-- Files ----------------------------------------

function support.command(line)
    local result = os.execute(line)
    return result == 0 or result == true
end

--- This process's own folder, with one for each base directory.
function support.folder()
    if not support.made then
        local base = os.getenv("SORTIE_TEST_FOLDER") or "/tmp"
        local template = base .. "/lua-XXXXXXXX"
        local pipe = io.popen("mktemp -d " .. template)
        support.made = pipe:read("*l")
        pipe:close()
        assert(support.command("cd '" .. support.made .. "' && mkdir documents temporary caches support resources"))
    end
    return support.made
end

function support.path(name, base)
    return support.folder() .. "/" .. (base or "documents") .. "/" .. name
end

function support.write_file(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    file:close()
end

--- A file's content, or nil if there is none.
function support.read_file(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local text = file:read("*a")
    file:close()
    return text
end

--- The names in a folder, sorted, one a line.
function support.names(folder)
    local pipe = io.popen("ls -A '" .. folder .. "'")
    local text = pipe:read("*a")
    pipe:close()
    return text
end

--- Runs a Lua program in a process of its own, under the interpreter of this one; gives what it wrote on both streams
--- and its exit status.
function support.run_lua(path, ...)
    local i = -1
    while _G.arg[i - 1] do
        i = i - 1
    end
    local words = { "'" .. _G.arg[i] .. "'", "'" .. path .. "'" }
    for _, word in ipairs({ ... }) do
        words[#words + 1] = "'" .. word .. "'"
    end
    local pipe = io.popen(table.concat(words, " ") .. " 2>&1; printf '\\nended with %d\\n' $?")
    local text = pipe:read("*a")
    pipe:close()
    local output, status = text:match("^(.*)\nended with (%d+)\n$")
    return output, tonumber(status)
end

--- Runs a piece of Lua likewise, with `support` and `network` at hand.
function support.run_piece(piece, ...)
    local path = support.folder() .. "/" .. support.unique("piece") .. ".lua"
    support.write_file(path, "package.path = '" .. support.here .. "?.lua;' .. package.path\n"
        .. "local support = require 'support'\nlocal network = support.network\n" .. piece)
    return support.run_lua(path, ...)
end

-- The client ----------------------------------------

--- Sets the client up for tests: the servers' authority, a folder for each base directory, no proxy.
function support.configure(more)
    if support.only_list then
        return
    end
    local folder = support.folder()
    local config = {
        caFile = support.ca_file,
        proxy = "",
        documentsDirectory = folder .. "/documents",
        temporaryDirectory = folder .. "/temporary",
        cachesDirectory = folder .. "/caches",
        applicationSupportDirectory = folder .. "/support",
        resourceDirectory = folder .. "/resources",
        onError = function(...)
            support.errors[#support.errors + 1] = { ... }
        end,
        onWarning = function(...)
            support.warnings[#support.warnings + 1] = { ... }
        end,
    }
    for key, value in pairs(more or {}) do
        config[key] = value
    end
    network.configure(config)
end

--- Polls until the condition holds; fails when that takes too long.
function support.wait_for(condition, what)
    local limit = os.time() + support.deadline
    while not condition() do
        assert(os.time() < limit, "waited in vain for " .. (what or "something"))
        network.wait(0.05)
        network.poll()
    end
end

--- Polls until every request has ended and been heard of. What onError was told and no test took is a failure.
function support.settle()
    support.wait_for(function()
        local stats = network.stats()
        return stats.ended == stats.submitted
    end, "all requests to end")
    -- A request is counted as ended before it can be polled. What ends after it is polled after it.
    local last
    network.request("http://127.0.0.1:1/", "GET", function()
        last = true
    end)
    support.wait_for(function()
        return last
    end, "the last request")
    local untaken = support.errors[1]
    support.errors, support.warnings = {}, {}
    assert(not untaken, untaken and ("a listener failed: " .. tostring(untaken[1]) .. "\n" .. tostring(untaken[2])))
end

--- After a failed test: nothing of it may fail the next one.
function support.recover()
    pcall(network.resume)
    for _, handle in ipairs(support.handles) do
        pcall(network.cancel, handle)
    end
    support.handles = {}
    pcall(support.settle)
    support.errors, support.warnings = {}, {}
end

--- Shuts the client down and waits for its threads to end, so that leak checkers do not see what these are about to
--- free. Known on Linux only.
function support.finish()
    network.shutdown()
    local process = (support.read_file("/proc/self/stat") or ""):match("^%d+")
    local limit = os.time() + support.deadline
    while process and support.names("/proc/" .. process .. "/task"):match("\n.*\n") do
        assert(os.time() < limit, "threads of the library are left")
    end
end

support.handles = {}

--- Starts a request that collects its events: gives the list that they go to, and the handle.
function support.start(url, method, params)
    local events = {}
    local handle = network.request(url, method or "GET", function(event)
        events[#events + 1] = event
    end, params)
    support.handles[#support.handles + 1] = handle
    return events, handle
end

--- The `ended` event of a list, or nil.
function support.ended(events)
    local last = events[#events]
    return last and last.phase == "ended" and last or nil
end

--- Waits for the `ended` event of a list.
function support.wait_ended(events)
    support.wait_for(function()
        return support.ended(events)
    end, "the ended event")
    return support.ended(events)
end

--- Makes a request and waits for its `ended` event; gives that.
function support.fetch(url, method, params)
    return support.wait_ended((support.start(url, method, params)))
end

--- The same; gives all its events too.
function support.fetch_all(url, method, params)
    local events = support.start(url, method, params)
    return support.wait_ended(events), events
end

--- The same, for one that must get a whole response.
function support.fetch_fine(url, method, params)
    local event = support.fetch(url, method, params)
    assert(not event.isError, event.isError and ("failed: " .. tostring(event.response)))
    return event
end

--- The latest request to a path as the server saw it: line, headers (by lower-case name; repeated ones joined by a new
--- line), body, and how many there have been.
function support.last(path, secure_server)
    local url = secure_server and support.secure_url or support.url
    local event = support.fetch_fine(url("/last?path=" .. escaped(path)))
    local seen = { count = tonumber(event.responseHeaders["x-count"]), headers = {} }
    if event.status ~= 200 then
        return seen
    end
    local head, body = event.response:match("^(.-)\r\n\r\n(.*)$")
    seen.body = body
    seen.line = head:match("^[^\r]*")
    for name, value in head:gmatch("\r\n([^:]+): ([^\r]*)") do
        name = name:lower()
        seen.headers[name] = seen.headers[name] and seen.headers[name] .. "\n" .. value or value
    end
    return seen
end

--- Lets the server answer a path with a status, headers and a body, or as it answers another path, from now on.
function support.stub(path, answer, secure_server)
    local url = secure_server and support.secure_url or support.url
    local target = type(answer) == "string" and answer or support.reply(answer)
    local event = support.fetch_fine(url("/stub?path=" .. escaped(path) .. "&as=" .. escaped(target)))
    assert(event.status == 204, event.response)
end

-- Assertions ----------------------------------------

local function shown(value)
    if type(value) ~= "string" then
        return tostring(value)
    end
    return string.format("%q", #value > 300 and value:sub(1, 300) .. "..." or value)
end

function support.equal(got, wanted, what)
    if got ~= wanted then
        error((what and what .. ": " or "") .. "got " .. shown(got) .. ", wanted " .. shown(wanted), 2)
    end
end

function support.contains(text, part, what)
    if type(text) ~= "string" or not text:find(part, 1, true) then
        error((what and what .. ": " or "") .. shown(part) .. " is not in " .. shown(text), 2)
    end
end

--- The call must raise an error whose message holds these parts.
function support.raises(parts, run, ...)
    local fine, message = pcall(run, ...)
    if fine then
        error("no error was raised", 2)
    end
    for _, part in ipairs(type(parts) == "table" and parts or { parts }) do
        support.contains(message, part, "the error")
    end
end

--- The event must be that of a request which failed, and its text must hold these parts.
function support.failed(event, ...)
    if event.isError ~= true then
        error("isError is " .. tostring(event.isError) .. ", the response " .. shown(event.response), 2)
    end
    support.equal(event.status, -1, "status")
    support.equal(event.phase, "ended", "phase")
    for _, part in ipairs({ ... }) do
        support.contains(event.response, part, "the response")
    end
end

--- Phases of the events in a list, with repeated ones told once: "began progress ended".
function support.phases(events)
    local words = {}
    for _, event in ipairs(events) do
        if event.phase ~= words[#words] then
            words[#words + 1] = event.phase
        end
    end
    return table.concat(words, " ")
end

return support
