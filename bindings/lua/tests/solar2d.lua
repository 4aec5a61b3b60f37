-- The adapter that makes a host look like Solar2D.

local support = require "support"
local test, equal = support.test, support.equal

support.configure()

local function run(piece, ...)
    local output, status = support.run_piece("support.configure()\n" .. piece, ...)
    if status ~= 0 then
        error("ended with " .. tostring(status) .. ": " .. output, 2)
    end
    return output
end

test("globals are there after network.solar2d", function()
    equal(run([[
        require "network.solar2d"
        print(type(_G.system), type(_G.Runtime), _G.network == network)
        for _, name in ipairs{ "DocumentsDirectory", "TemporaryDirectory", "CachesDirectory",
            "ApplicationSupportDirectory", "ResourceDirectory" } do
            print(system[name] == network[name], system[name] ~= nil)
        end
    ]]), "table\ttable\ttrue\n" .. ("true\ttrue\n"):rep(5))
end)

test("globals that exist are left alone", function()
    equal(run([[
        local mine = { DocumentsDirectory = "mine" }
        _G.system, _G.Runtime, _G.network = mine, mine, mine
        require "network.solar2d"
        print(system == mine, Runtime == mine, _G.network == mine, mine.DocumentsDirectory)
    ]]), "true\ttrue\ttrue\tmine\n")
end)

test("constants of the host's own are understood and given back", function()
    -- As in Solar2D, where they are values that only the host knows.
    equal(run([[
        local own = io.stdout
        local base = { "documents" }
        _G.system = { DocumentsDirectory = base, TemporaryDirectory = own, CachesDirectory = print }
        for i, name in ipairs{ "documents", "temporary", "caches" } do
            local constant = ({ base, own, print })[i]
            local event = support.fetch(arg[1], "GET", { response = { filename = "own", baseDirectory = constant } })
            print(event.isError, rawequal(event.response.baseDirectory, constant),
                event.response.fullPath == support.path("own", name))
        end
    ]], support.url("/bytes/1")), ("false\ttrue\ttrue\n"):rep(3))
end)

test("host that forbids unknown globals is fine", function()
    equal(run([[
        setmetatable(_G, { __index = function(_, name) error("no global " .. name) end,
            __newindex = function(_, name) error("no new global " .. name) end })
        local name = "strict"
        local event = support.fetch(arg[1], "GET", { response = { filename = name } })
        print(event.isError, rawequal(event.response.baseDirectory, network.DocumentsDirectory))
        require "network.solar2d"
        print(type(system), type(Runtime))
    ]], support.url("/bytes/1")), "false\ttrue\ntable\ttable\n")
end)

test("frames drive the requests", function()
    equal(run([[
        require "network.solar2d"
        local status
        network.request(arg[1], "GET", function(event) status = event.status end)
        local limit = os.time() + support.deadline
        while not status and os.time() < limit do
            network.wait(0.05)
            Runtime:dispatchEvent({ name = "enterFrame" })
        end
        print(status)
    ]], support.url("/bytes/1")), "200\n")
end)

test("application events suspend and resume", function()
    equal(run([[
        require "network.solar2d"
        Runtime:dispatchEvent({ name = "system", type = "applicationSuspend" })
        local status
        network.request(arg[1], "GET", function(event) status = event.status end)
        for _ = 1, 5 do
            network.wait(0.05)
            Runtime:dispatchEvent({ name = "enterFrame" })
        end
        print(status, network.stats().active)
        Runtime:dispatchEvent({ name = "system", type = "applicationResume" })
        local limit = os.time() + support.deadline
        while not status and os.time() < limit do
            network.wait(0.05)
            Runtime:dispatchEvent({ name = "enterFrame" })
        end
        print(status)
    ]], support.url("/bytes/1")), "nil\t0\n200\n")
end)

test("Runtime has listeners that are functions and tables", function()
    equal(run([[
        require "network.solar2d"
        local function listener(event) print("function", event.name, event.value) end
        local object = { custom = function(self, event) print("table", type(self), event.value) end }
        Runtime:addEventListener("custom", listener)
        Runtime:addEventListener("custom", object)
        Runtime:dispatchEvent({ name = "custom", value = 1 })
        Runtime:removeEventListener("custom", listener)
        Runtime:dispatchEvent({ name = "custom", value = 2 })
        Runtime:removeEventListener("custom", object)
        Runtime:dispatchEvent({ name = "custom", value = 3 })
    ]]), "function\tcustom\t1\ntable\ttable\t1\ntable\ttable\t2\n")
end)

test("listener may remove itself and add others", function()
    equal(run([[
        require "network.solar2d"
        local function once()
            print("once")
            Runtime:removeEventListener("custom", once)
            Runtime:addEventListener("custom", function() print("later") end)
        end
        Runtime:addEventListener("custom", once)
        Runtime:addEventListener("custom", function() print("always") end)
        Runtime:dispatchEvent({ name = "custom" })
        Runtime:dispatchEvent({ name = "custom" })
    ]]):gsub("^once\nalways\nlater\n", "once\nalways\n"), "once\nalways\nalways\nlater\n")
end)

test("pathForFile and getTimer", function()
    equal(run([[
        require "network.solar2d"
        print(system.pathForFile("a/b", system.CachesDirectory) == support.path("a/b", "caches"))
        print(system.pathForFile("a/b", system.DocumentsDirectory) == support.path("a/b"))
        local before = system.getTimer()
        network.wait(0)
        local limit = os.clock() + 0.05
        while os.clock() < limit do end
        local took = system.getTimer() - before
        print(type(took), took >= 20 and took < 60000)
    ]]), "true\ntrue\nnumber\ttrue\n")
end)
