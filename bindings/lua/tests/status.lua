-- Reachability, as far as the loopback interface shows it. `namespace.lua` shows changes.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure({ reachabilityInterval = 0.1 })

local here = "127.0.0.1:" .. tostring(support.port())

--- Listens to a host; gives the list that its events go to.
local function listen(host)
    local events = {}
    network.setStatusListener(host, function(event)
        events[#events + 1] = event
    end)
    return events
end

local function wait_events(events, count)
    support.wait_for(function()
        return #events >= count
    end, "news of a host")
end

--- Polls for some looks at the hosts.
local function some_looks()
    for _ = 1, 10 do
        network.wait(0.05)
        network.poll()
    end
end

test("status listener hears at the start that a host can be reached", function()
    local events = listen(here)
    wait_events(events, 1)
    local event = events[1]
    equal(event.name, "networkStatus")
    equal(event.address, here)
    equal(event.isReachable, true)
    for _, key in ipairs({ "isConnectionRequired", "isConnectionOnDemand", "isInteractionRequired",
        "isReachableViaCellular", "isReachableViaWiFi" }) do
        equal(event[key], false, key)
    end
    network.setStatusListener(here, nil)
end)

test("status listener hears at the start that a host cannot be reached", function()
    local events = listen("127.0.0.1:1")
    wait_events(events, 1)
    equal(events[1].isReachable, false)
    network.setStatusListener("127.0.0.1:1", nil)
end)

test("host may be a name without a port", function()
    local events = listen("localhost")
    wait_events(events, 1)
    -- It is there, whatever it serves.
    equal(events[1].isReachable, true)
    equal(events[1].address, "localhost")
    network.setStatusListener("localhost", nil)
end)

test("status listener hears nothing while nothing changes", function()
    local events = listen(here)
    wait_events(events, 1)
    some_looks()
    equal(#events, 1)
    network.setStatusListener(here, nil)
end)

test("status listener may be a table with a method", function()
    local listener = {}
    function listener:networkStatus(event)
        self.event = event
    end
    network.setStatusListener(here, listener)
    support.wait_for(function()
        return listener.event
    end)
    equal(listener.event.isReachable, true)
    network.setStatusListener(here, nil)
end)

test("status listener that was taken away hears nothing", function()
    local events = listen(here)
    network.setStatusListener(here, nil)
    some_looks()
    equal(#events, 0)
    -- Taking it away twice, or where there is none, is fine.
    network.setStatusListener(here, nil)
    network.setStatusListener("nobody.test", nil)
end)

test("another status listener takes the place of the first", function()
    local first = listen(here)
    local second = listen(here)
    wait_events(second, 1)
    some_looks()
    equal(#first, 0)
    equal(#second, 1)
    network.setStatusListener(here, nil)
end)

test("status listeners come and go as often as one likes", function()
    -- More than may be at one time.
    for i = 1, 200 do
        network.setStatusListener(here, function() end)
        network.setStatusListener("127.0.0.1:" .. i, function() end)
        network.setStatusListener("127.0.0.1:" .. i, nil)
    end
    network.setStatusListener(here, nil)
    local events = listen(here)
    wait_events(events, 1)
    network.setStatusListener(here, nil)
end)

test("hosts have a status listener each", function()
    local here_events, there_events = listen(here), listen("127.0.0.1:1")
    wait_events(here_events, 1)
    wait_events(there_events, 1)
    equal(here_events[1].isReachable, true)
    equal(there_events[1].isReachable, false)
    network.setStatusListener(here, nil)
    network.setStatusListener("127.0.0.1:1", nil)
end)

test("no status listener hears anything while suspended", function()
    network.suspend()
    local events = listen(here)
    some_looks()
    equal(#events, 0)
    network.resume()
    wait_events(events, 1)
    network.setStatusListener(here, nil)
end)

test("status listener may take itself away", function()
    local heard = 0
    network.setStatusListener(here, function()
        heard = heard + 1
        network.setStatusListener(here, nil)
    end)
    support.wait_for(function()
        return heard > 0
    end)
    some_looks()
    equal(heard, 1)
end)

test("status listener that throws is reported", function()
    network.setStatusListener(here, function()
        error("thrown by the test")
    end)
    support.wait_for(function()
        return #support.errors > 0
    end)
    support.contains(tostring(support.errors[1][1]), "thrown by the test")
    support.errors = {}
    network.setStatusListener(here, nil)
end)

test("nothing of a status listener is kept", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
        local ballast = {}
        weak.ballast = ballast
        network.setStatusListener(here, function()
            return ballast
        end)
        network.poll()
    end
    collectgarbage()
    assert(weak.ballast, "the listener was collected")
    network.setStatusListener(here, nil)
    network.poll()
    collectgarbage()
    collectgarbage()
    equal(weak.ballast, nil)
end)

test("what is no host is refused", function()
    for _, host in ipairs({ "", "http://127.0.0.1/", "a b", "127.0.0.1:99999", "a\0b", "127.0.0.1:x" }) do
        support.raises("network.setStatusListener", network.setStatusListener, host, function() end)
    end
end)

test("status listeners do not hold requests up, nor count as such", function()
    local events = listen(here)
    equal(support.fetch_fine(support.url("/bytes/1")).status, 200)
    wait_events(events, 1)
    network.setStatusListener(here, nil)
end)
