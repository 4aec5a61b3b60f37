-- A game that checks network.love from within: love love SERVER [throw|thread]
-- It says nothing and ends with 0 if all is well.

local network = require "network.love"

local ended, updates, updating = {}, 0, false
local wanted, limit, thread = 5

local function listener(key)
    return function(event)
        -- Polls come between updates, not inside them.
        assert(not updating, "polled within love.update")
        ended[key] = event
    end
end

function love.load(words)
    local server = words[1]
    limit = love.timer.getTime() + 30
    network.request(server .. "/bytes/10", "GET", listener("memory"))
    network.download(server .. "/bytes/20", "GET", listener("documents"), "documents.dat")
    network.download(server .. "/bytes/30", "GET", listener("caches"), "caches.dat", network.CachesDirectory)
    network.download(server .. "/bytes/40", "GET", listener("temporary"), "temporary.dat", network.TemporaryDirectory)
    network.upload(server .. "/upload", "PUT", listener("resource"), "conf.lua", network.ResourceDirectory)
    if words[2] == "throw" then
        wanted = 6
        network.request(server .. "/bytes/1", "GET", function(event)
            ended.thrown = event
            error("thrown by the test")
        end)
    elseif words[2] == "thread" then
        -- Ends with this program, if not before.
        network.request(server .. "/stall", "GET", print)
        thread = love.thread.newThread([[
            local server = ...
            local network = require "network"
            local length
            network.request(server .. "/bytes/123456", "GET", function(event) length = #event.response end)
            while not length do
                network.wait(1)
                network.poll()
            end
            love.thread.getChannel("length"):push(length)
        ]])
        thread:start(server)
    end
end

local function check()
    assert(#ended.memory.response == 10)
    assert(#love.filesystem.read("documents.dat") == 20)
    assert(#love.filesystem.read("caches/caches.dat") == 30)
    assert(#love.filesystem.read("temporary/temporary.dat") == 40)
    local size = love.filesystem.getInfo("conf.lua").size
    assert(ended.resource.response:match("^%d+") == tostring(size), ended.resource.response)
end

function love.update()
    updating = true
    updates = updates + 1
    local count = 0
    for _ in pairs(ended) do
        count = count + 1
    end
    local idle = true
    if thread then
        assert(not thread:getError(), thread:getError())
        idle = love.thread.getChannel("length"):peek() == 123456
    end
    if count == wanted and idle then
        local fine, why = pcall(check)
        if not fine then
            print(why)
        end
        love.event.quit(fine and 0 or 1)
    elseif love.timer.getTime() > limit then
        print(count .. " of " .. wanted .. " have ended after " .. updates .. " updates")
        love.event.quit(1)
    end
    updating = false
end
