-- Lua states that end at any moment, several of them in one process, and memory that runs out. Runs in the program of
-- host.c, which embeds Lua.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

local state_folder = not support.only_list and support.folder() .. "/state"

--- A new state with a client of its own, `url` and `folder` at hand.
local function new_state(more)
    local state = host.new()
    support.command("mkdir -p '" .. state_folder .. "'")
    local fine, why = host.run(state, string.format([[
        network = require "network"
        network.configure{ proxy = "", documentsDirectory = %q, %s }
        function url(path) return %q .. path end
        function wait_for(condition)
            local limit = os.time() + 60
            while not condition() do
                assert(os.time() < limit, "waited in vain")
                network.wait(0.05)
                network.poll()
            end
        end
        heard = {}
        function listener(event) heard[#heard + 1] = event end
    ]], state_folder, more or "", support.url("")))
    assert(fine, why)
    return state
end

local function run(state, code)
    local fine, result = host.run(state, code)
    if not fine then
        error(result, 2)
    end
    return result
end

--- What a state may be doing when it is closed.
local moments = {
    ["nothing yet"] = "",
    ["a request just made"] = "network.request(url'/bytes/1000', 'GET', listener)",
    ["a request waiting for its answer"] = [[
        network.request(url'/stall-headers', 'GET', listener)
        while network.stats().active == 0 do network.wait(0.01) end
    ]],
    ["an answer under way"] = [[
        network.request(url'/stall?sent=500', 'GET', listener, { progress = "download" })
        wait_for(function() return #heard > 0 end)
    ]],
    ["an end not polled"] = [[
        network.request(url'/bytes/100000', 'GET', listener)
        while network.stats().undrained == 0 do network.wait(0.01) end
    ]],
    ["an end that was polled"] = [[
        network.request(url'/bytes/100000', 'GET', listener)
        wait_for(function() return #heard > 0 end)
    ]],
    ["a refused request"] = "network.request('ftp://x/', 'GET', listener)",
    ["a cancelled request"] = "network.cancel(network.request(url'/stall', 'GET', listener))",
    ["a large body lent"] = [[
        network.request(url'/upload-slow?rate=1000', 'POST', listener,
            { body = ("x"):rep(5000000), bodyType = "binary", progress = "upload" })
        wait_for(function() return #heard > 1 end)
    ]],
    ["a file being written"] = [[
        network.download(url'/stall?sent=500', 'GET', listener, { progress = true }, 'unfinished')
        wait_for(function() return #heard > 0 end)
    ]],
    ["suspension"] = "network.request(url'/bytes/1', 'GET', listener) network.suspend()",
    ["a shut down client"] = "network.request(url'/bytes/1', 'GET', listener) network.shutdown()",
    ["a hundred requests"] = "for i = 1, 100 do network.request(url'/delay?ms=10000', 'GET', listener) end",
    ["an error on the way"] = "network.request(url'/stall', 'GET', listener) error('on the way')",
    ["a handle as a global"] = "handle = network.request(url'/stall', 'GET', listener)",
}

test("state may be closed at any moment", function()
    local names = {}
    for name in pairs(moments) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local state = new_state()
        local fine, why = host.run(state, moments[name])
        assert(fine or why:find("on the way", 1, true), name .. ": " .. tostring(why))
        local started = os.time()
        host.close(state)
        assert(os.time() - started < 10, name)
    end
    equal(support.names(state_folder), "", "files left")
end)

test("state may be closed by a finalizer's turn that uses the module", function()
    for _, call in ipairs({
        "network.request(url'/bytes/1', 'GET', listener)", "network.poll()", "network.stats()", "network.shutdown()",
        "network.cancel(handle)", "network.suspend() network.resume()", "network.wait(0)", "tostring(handle)",
        "network.configure{}", "require('network').poll()",
    }) do
        local state = new_state()
        run(state, string.format([[
            handle = network.request(url'/stall', 'GET', listener)
            local network, url, handle, listener, tostring, require = network, url, handle, listener, tostring, require
            local function finalize() pcall(function() %s end) end
            -- Before and after the module's own finalizer.
            for _ = 1, 2 do
                if newproxy then
                    local proxy = newproxy(true)
                    getmetatable(proxy).__gc = finalize
                    kept = { kept, proxy }
                else
                    kept = { kept, setmetatable({}, { __gc = finalize }) }
                end
                package.loaded.network = nil
                require "network"
            end
        ]], call))
        host.close(state)
    end
end)

test("states have a client each", function()
    local one, two = new_state(), new_state("userAgent = 'two'")
    run(one, "network.request(url'/inspect', 'GET', listener)")
    run(two, "network.request(url'/inspect', 'GET', listener)")
    run(one, "wait_for(function() return #heard > 0 end)")
    run(two, "wait_for(function() return #heard > 0 end)")
    equal(run(one, "return tostring(#heard)"), "1")
    equal(run(two, "return tostring(#heard)"), "1")
    support.contains(run(two, "return heard[1].response"), "User-Agent: two")
    support.contains(run(one, "return heard[1].response"), "User-Agent: sortie/")
    host.close(one)
    run(two, "network.request(url'/bytes/1', 'GET', listener) wait_for(function() return #heard > 1 end)")
    equal(run(two, "return tostring(heard[2].status)"), "200")
    host.close(two)
end)

test("twenty states live at once", function()
    local states = {}
    for i = 1, 20 do
        states[i] = new_state()
        run(states[i], "network.request(url'/bytes/" .. i .. "', 'GET', listener)")
    end
    for i = 1, 20 do
        run(states[i], "wait_for(function() return #heard > 0 end)")
        equal(run(states[i], "return tostring(#heard[1].response)"), tostring(i))
    end
    for i = 20, 1, -1 do
        host.close(states[i])
    end
end)

test("module that is never used costs nothing at the end", function()
    local state = host.new()
    run(state, "require 'network'")
    host.close(state)
end)

-- shutdown ----------------------------------------

test("shutdown drops requests and allows another client", function()
    local state = new_state()
    run(state, [[
        old = network.request(url'/stall', 'GET', listener)
        local refused = network.request('ftp://x/', 'GET', listener)
        network.shutdown()
        assert(network.poll() == 0 and #heard == 0)
        assert(network.cancel(old) == false and network.cancel(refused) == false)
        network.shutdown()
        network.configure{ proxy = "", userAgent = "anew" }
        network.request(url'/inspect', 'GET', listener)
        wait_for(function() return #heard > 0 end)
        assert(heard[1].response:find("User-Agent: anew", 1, true))
        assert(network.cancel(old) == false)
        assert(old ~= heard[1].requestId)
    ]])
    host.close(state)
end)

test("listener may shut the client down", function()
    local state = new_state()
    run(state, [[
        local count = 0
        for i = 1, 5 do
            network.request(url'/bytes/1000', 'GET', function(event)
                count = count + 1
                network.shutdown()
                assert(#event.response == 1000)
            end)
        end
        while network.stats().undrained < 5 do network.wait(0.01) end
        network.poll()
        assert(count == 1, count)
        assert(network.poll() == 0)
        network.request(url'/bytes/1', 'GET', listener)
        wait_for(function() return #heard > 0 end)
    ]])
    host.close(state)
end)

-- The end of a program ----------------------------------------

--- Runs a program that makes requests, then this; gives its output, exit status and seconds.
local function program(piece)
    local started = os.time()
    local output, status = support.run_piece([[
        support.configure()
        local url = support.url
        network.request(url("/stall"), "GET", print)
        network.request(url("/stall-headers"), "POST", print, { body = "text" })
        network.request("ftp://x/", "GET", function() end)
    ]] .. piece)
    return output, status, os.time() - started
end

test("program may end with requests under way", function()
    local output, status, took = program("print('last words')")
    equal(output, "last words\n")
    equal(status, 0)
    assert(took < 10, took)
end)

test("program that fails ends as it should", function()
    local output, status = program("error('last words')")
    support.contains(output, "last words")
    equal(status, 1)
end)

test("listener may end the program", function()
    for _, call in ipairs({ "os.exit(7)", "os.exit(7, true)", "os.exit(7, false)" }) do
        local output, status, took = program(string.format([[
            network.request(url("/bytes/1000"), "GET", function(event)
                print(#event.response)
                io.stdout:flush()
                %s
            end)
            support.wait_for(function() return false end)
        ]], call))
        equal(output, "1000\n", call)
        equal(status, 7, call)
        assert(took < 10, call)
    end
end)

test("listener of a refused request may end the program", function()
    local output, status = program([[
        network.request("ftp://y/", "GET", function() os.exit(7, true) end)
        network.poll()
    ]])
    equal(output, "")
    equal(status, 7)
end)

-- Memory ----------------------------------------

local heard, began = 0, 0
local function count_events(event)
    if event.phase == "ended" then
        heard = heard + 1
    else
        began = began + 1
    end
end

if support.only_list or host and host.starve then
    --- Whether lua_pcall() told of a lack of memory: LUA_ERRMEM, or its message raised anew.
    local function is_no_memory(status, why)
        return status == 4 or why == "not enough memory"
    end

    test("request that runs out of memory does not happen, or does", function()
        local params = {
            headers = { A = "b", B = 5, C = true }, body = "text", timeout = 5.5, progress = "upload",
            response = { filename = "starved" },
        }
        local url, handle = support.url("/echo")
        local function request()
            handle = network.request(url, "post", count_events, params)
        end
        local happened, refused = 0, 0
        for n = 1, 2000 do
            heard, handle = 0, nil
            local status, failed, why = host.starve(n, request)
            if status ~= 0 then
                assert(is_no_memory(status, why), why)
                refused = refused + 1
            end
            support.settle()
            equal(heard, handle and 1 or 0, "ended events after " .. n .. " allocations")
            if not failed then
                happened = happened + 1
                break
            end
        end
        equal(happened, 1, "requests with enough memory")
        assert(refused > 3, "only " .. refused .. " points of failure")
    end)

    test("refused request that runs out of memory does not happen, or does", function()
        local params, handle = { headers = { A = {} } }
        local function request()
            handle = network.request("http://127.0.0.1/", "GET", count_events, params)
        end
        for n = 1, 2000 do
            heard, handle = 0, nil
            local status, failed = host.starve(n, request)
            support.settle()
            equal(heard, handle and 1 or 0, "ended events after " .. n .. " allocations")
            equal(status == 0, handle ~= nil)
            if not failed then
                assert(n > 5)
                return
            end
        end
        error("never enough memory")
    end)

    --- Polls under starvation until one poll has enough; each request must end exactly once.
    local function starve_polls(start)
        local lost, raised = 0, 0
        for n = 1, 2000 do
            heard, began = 0, 0
            support.errors = {}
            start()
            local limit = os.time() + support.deadline
            while network.stats().undrained < 1 do
                assert(os.time() < limit)
                network.wait(0.01)
            end
            local status, failed, why = host.starve(n, network.poll)
            if status ~= 0 then
                assert(is_no_memory(status, why), why)
                raised = raised + 1
            end
            local told = #support.errors
            support.errors = {}
            support.settle()
            assert(heard <= 1, "ended twice")
            if heard == 0 then
                -- Memory ran out in the call of the listener itself, which counts as the listener's error.
                lost = lost + 1
                assert(status ~= 0 or told > 0, "lost without a word after " .. n .. " allocations")
            end
            if not failed then
                equal(heard, 1)
                assert(raised >= 3, "only " .. raised .. " points of failure")
                return lost, n
            end
        end
        error("never enough memory")
    end

    test("poll that runs out of memory loses no event", function()
        local url = support.url("/headers?a=1&a=2&b=3&Content-Type=text/plain")
        local params = { progress = "download" }
        local lost, count = starve_polls(function()
            network.request(url, "GET", count_events, params)
        end)
        assert(lost * 10 < count, lost .. " of " .. count .. " lost")
    end)

    test("poll of a failed request that runs out of memory loses no event", function()
        starve_polls(function()
            network.request("http://127.0.0.1:1/", "GET", count_events)
        end)
    end)

    test("large body that finds no memory comes later", function()
        local url = support.url("/bytes/5000000")
        starve_polls(function()
            network.request(url, "GET", count_events)
        end)
    end)

    test("loading the module without memory fails and works later", function()
        package.loaded.network = nil
        local loaded
        for n = 1, 2000 do
            local status, failed = host.starve(n, function()
                loaded = require "network"
            end)
            package.loaded.network = nil
            if not failed then
                equal(status, 0)
                break
            end
        end
        package.loaded.network = network
        equal(loaded, network)
    end)
else
    support.skip("memory that runs out: this Lua does not let a program choose its allocator")
end
