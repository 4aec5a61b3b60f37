-- Reachability while links go down and up. Runs in a network namespace of its own, as root:
--
--   unshare --net lua run.lua namespace

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure({
    -- What is heard within the deadline was told by the system, not found by looking again.
    reachabilityInterval = 600,
    resolves = { { host = "game.test", address = "10.77.0.2" } },
})

local function run(line)
    assert(support.command(line), line)
end

--- The other end of the cable: a namespace that lives as long as its input.
local other
local function outside(line)
    run("nsenter --net --target " .. other.pid .. " " .. line)
end

local function link_up()
    run("ip link set ours up")
    run("ip route replace default via 10.77.0.2")
end

local function link_down()
    run("ip link set ours down")
end

local function lay_cable()
    if other then
        return
    end
    local file = support.folder() .. "/pid"
    other = { pipe = io.popen("unshare --net sh -c 'echo $$ > " .. file .. "; exec cat' >/dev/null", "w") }
    local limit = os.time() + support.deadline
    repeat
        assert(os.time() < limit)
        other.pid = tonumber((support.read_file(file) or ""):match("^(%d+)\n"))
    until other.pid
    run("ip link set lo up")
    run("ip link add ours type veth peer name theirs")
    run("ip link set theirs netns " .. other.pid)
    run("ip address add 10.77.0.1/24 dev ours")
    outside("ip address add 10.77.0.2/24 dev theirs")
    outside("ip link set theirs up")
end

--- Waits for the latest of these events to tell so; gives how many there were before.
local function wait_reachable(events, wanted)
    support.wait_for(function()
        return #events > 0 and events[#events].isReachable == wanted
    end, "isReachable = " .. tostring(wanted))
end

local function follow(host)
    lay_cable()
    link_down()
    local events = {}
    network.setStatusListener(host, function(event)
        equal(event.address, host)
        events[#events + 1] = event
    end)
    wait_reachable(events, false)
    for _ = 1, 2 do
        link_up()
        wait_reachable(events, true)
        link_down()
        wait_reachable(events, false)
    end
    network.setStatusListener(host, nil)
    -- No, yes, no, yes, no; each once.
    equal(#events, 5)
    for i, event in ipairs(events) do
        equal(event.isReachable, i % 2 == 0, "event " .. i)
    end
end

test("status listener hears a link go down and up: address", function()
    follow("10.77.0.2")
end)

test("status listener hears a link go down and up: name", function()
    follow("game.test")
end)

test("status listener that was taken away hears nothing of a link", function()
    lay_cable()
    link_up()
    local heard = 0
    network.setStatusListener("10.77.0.2", function()
        heard = heard + 1
    end)
    support.wait_for(function()
        return heard == 1
    end)
    network.setStatusListener("10.77.0.2", nil)
    -- Another one shows that the change has been seen.
    local events = {}
    network.setStatusListener("game.test", function(event)
        events[#events + 1] = event
    end)
    wait_reachable(events, true)
    link_down()
    wait_reachable(events, false)
    network.setStatusListener("game.test", nil)
    equal(heard, 1)
end)

test("changes while suspended are told after resume, the latest alone", function()
    lay_cable()
    link_up()
    local events = {}
    network.setStatusListener("10.77.0.2", function(event)
        events[#events + 1] = event
    end)
    wait_reachable(events, true)
    network.suspend()
    link_down()
    network.wait(0.2)
    network.poll()
    equal(#events, 1)
    network.resume()
    wait_reachable(events, false)
    equal(#events, 2)
    network.setStatusListener("10.77.0.2", nil)
end)

test("getConnectionStatus follows the link", function()
    lay_cable()
    for _ = 1, 2 do
        link_down()
        support.wait_for(function()
            return network.getConnectionStatus().isConnected == false
        end, "isConnected = false")
        link_up()
        support.wait_for(function()
            return network.getConnectionStatus().isConnected == true
        end, "isConnected = true")
        equal(network.getConnectionStatus().isMobile, false)
    end
end)

test("request without a network is an error", function()
    lay_cable()
    link_down()
    support.failed(support.fetch("http://10.77.0.2/"), "10.77.0.2")
end)
