-- Suspend and resume.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

test("no listener hears anything while suspended", function()
    local events = support.start(support.url("/bytes/1"))
    local limit = os.time() + support.deadline
    while network.stats().undrained < 1 do
        assert(os.time() < limit)
    end
    network.suspend()
    equal(network.poll(), 0)
    equal(network.poll(), 0)
    equal(#events, 0)
    network.resume()
    equal(support.wait_ended(events).status, 200)
end)

test("request made while suspended starts on resume", function()
    local path = "/" .. support.unique("held")
    support.stub(path, { body = "stub" })
    network.suspend()
    local events = support.start(support.url(path))
    equal(network.wait(0.3), false, "wait")
    equal(network.poll(), 0)
    equal(network.stats().active, 0, "active")
    network.resume()
    equal(support.wait_ended(events).response, "stub")
    equal(support.last(path).count, 1)
end)

test("refused request is told after resume", function()
    network.suspend()
    local events = support.start("ftp://127.0.0.1/")
    network.poll()
    equal(#events, 0)
    network.resume()
    support.failed(support.wait_ended(events))
end)

test("cancel works while suspended", function()
    network.suspend()
    local events, handle = support.start(support.url("/bytes/1"))
    equal(network.cancel(handle), true)
    network.resume()
    support.settle()
    equal(#events, 0)
end)

test("transfer that was under way goes on after resume", function()
    local gate = support.unique("gate")
    local events = support.start(support.url("/held/" .. gate .. "?bytes=200000&sent=1000"), "GET",
        { progress = "download" })
    support.wait_for(function()
        return #events > 0
    end)
    local heard = #events
    network.suspend()
    -- Another client opens the gate: this one is suspended.
    local output = support.run_piece("support.configure()\nsupport.fetch_fine(arg[1])\nprint('opened')",
        support.url("/open/" .. gate))
    support.contains(output, "opened")
    network.poll()
    equal(#events, heard, "events while suspended")
    network.resume()
    equal(#support.wait_ended(events).response, 200000)
end)

test("clocks stand still while suspended", function()
    local gate = support.unique("gate")
    local events = support.start(support.url("/gate/" .. gate), "GET", { timeout = 1 })
    equal(support.fetch_fine(support.url("/waiting/" .. gate)).status, 204)
    network.suspend()
    equal(network.wait(1.5), false)
    network.resume()
    support.fetch_fine(support.url("/open/" .. gate))
    equal(support.wait_ended(events).response, "open\n")
end)

test("suspend and resume may come twice", function()
    network.suspend()
    network.suspend()
    network.resume()
    network.resume()
    equal(support.fetch_fine(support.url("/bytes/1")).status, 200)
end)

test("listener of a refused request may suspend", function()
    local heard = 0
    for _ = 1, 3 do
        network.request("ftp://127.0.0.1/", "GET", function()
            heard = heard + 1
            network.suspend()
        end)
    end
    for i = 1, 3 do
        network.poll()
        equal(heard, i)
        equal(network.poll(), 0)
        network.resume()
    end
end)

test("listener may suspend", function()
    local heard = 0
    for _ = 1, 3 do
        network.request(support.url("/bytes/1"), "GET", function()
            heard = heard + 1
            network.suspend()
        end)
    end
    local limit = os.time() + support.deadline
    while network.stats().undrained < 3 do
        assert(os.time() < limit)
    end
    network.poll()
    equal(heard, 1, "heard before resume")
    network.resume()
    network.poll()
    equal(heard, 2, "heard before the second resume")
    network.resume()
    support.wait_for(function()
        return heard == 3
    end)
    network.resume()
end)
