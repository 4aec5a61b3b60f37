-- Everything at once, in an order that nobody thought of.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure({
    onError = function(message)
        if not message:find("thrown by the test", 1, true) then
            support.errors[#support.errors + 1] = { message }
        end
    end,
})

--- Numbers from 1 to `most`, the same in every run and every Lua.
local function numbers(seed)
    return function(most)
        seed = (seed * 16807) % 2147483647
        return seed % most + 1
    end
end

local paths = {
    "/bytes/0", "/bytes/1000", "/bytes/300000", "/gzip?bytes=20000", "/status/404?body=x", "/redirect/3", "/truncate",
    "/reset?after=10", "/204", "/chunked?bytes=5000", "/headers?a=1&a=2&b=3", "/gate/GATE", "/delay?ms=20", "/garbage",
    "/held/GATE?bytes=50000", "/slow?bytes=20000&rate=400000", "/upload", "/echo", "/bytes/10?type=text/html",
}

--- One of many kinds of params, good and bad.
local function some_params(random)
    local params = {}
    local kind = random(12)
    if kind == 1 then
        params.progress = "download"
    elseif kind == 2 then
        params.progress, params.body = "upload", ("x"):rep(random(50000))
    elseif kind == 3 then
        params.response = { filename = "soak-" .. random(5) }
    elseif kind == 4 then
        params.headers = { A = random(9), B = true }
    elseif kind == 5 then
        params.headers = { A = {} }
    elseif kind == 6 then
        params.timeout = 0.05
    elseif kind == 7 then
        params.body = { filename = "nowhere" }
    elseif kind == 8 then
        params.debug, params.progress = true, "download"
    end
    return params
end

local function soak(seed)
    local random = numbers(seed)
    local live, all = {}, {}
    local gate = support.unique("gate")
    local heard_after_end, heard_after_cancel = 0, 0

    local function request()
        local one = { ended = 0 }
        local function listener(event)
            if one.cancelled then
                heard_after_cancel = heard_after_cancel + 1
            elseif one.ended > 0 then
                heard_after_end = heard_after_end + 1
            end
            if event.phase == "ended" then
                one.ended = one.ended + 1
            end
            local what = random(20)
            if what == 1 then
                collectgarbage("step")
            elseif what == 2 then
                error("thrown by the test")
            elseif what == 3 and #live > 0 then
                local other = live[random(#live)]
                if network.cancel(other.handle) then
                    other.cancelled = true
                end
            end
        end
        local url = random(30) == 1 and "ftp://127.0.0.1/" or support.url((paths[random(#paths)]:gsub("GATE", gate)))
        local methods = { "GET", "POST", "HEAD", "PUT" }
        local object = { networkRequest = function(_, event)
            listener(event)
        end }
        one.handle = network.request(url, methods[random(4)], random(40) > 1 and listener or object, some_params(random))
        live[#live + 1] = one
        all[#all + 1] = one
        if #live > 40 then
            table.remove(live, random(#live))
        end
    end

    for _ = 1, 3000 do
        local what = random(10)
        if what <= 4 and #all < 1000 then
            request()
        elseif what == 5 and #live > 0 then
            local one = live[random(#live)]
            local result = network.cancel(one.handle)
            equal(result, not one.cancelled and one.ended == 0, "cancel")
            one.cancelled = one.cancelled or result
        elseif what == 6 then
            network.poll(random(3) - 1)
        elseif what == 7 then
            network.suspend()
            equal(network.poll(), 0)
            network.resume()
        elseif what == 8 then
            collectgarbage("step")
        elseif what == 9 then
            network.wait(0.005)
        else
            network.poll()
        end
    end
    -- Whatever still waits at the gate may go. By another name of the host: all places of this one may be taken.
    support.fetch_fine(support.url("/open/" .. gate, "localhost"))
    support.settle()

    assert(#all > 900, #all .. " requests")
    local ended = 0
    for i, one in ipairs(all) do
        equal(one.ended, one.cancelled and 0 or 1, "ended events of request " .. i)
        ended = ended + one.ended
    end
    assert(ended > 500, ended .. " ended")
    equal(heard_after_end, 0)
    equal(heard_after_cancel, 0)
end

test("a thousand requests and all that can befall them", function()
    for round = 1, tonumber(os.getenv("SORTIE_TEST_SOAK_ROUNDS")) or 3 do
        soak(round * 1234567)
    end
end)
