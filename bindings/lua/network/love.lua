-- The network library in LÖVE 11:
--
--   local network = require "network.love"
--
-- Gives the module `network`, and polls it once a frame, right before love.update, within network.frameBudget
-- milliseconds if that is set. For that it takes the place of love.timer.step(), which every main loop that knows the
-- time calls once a frame, and the error screen does not; without the timer module, of love.event.pump().
--
-- DocumentsDirectory and ApplicationSupportDirectory are the game's save directory; CachesDirectory and
-- TemporaryDirectory are the folders "caches" and "temporary" in it, so love.filesystem reads all of them.
-- ResourceDirectory is the game's folder, if it runs from one. Other directories can be given to network.configure()
-- after this module is loaded.

local network = require "network"

local filesystem = love.filesystem
local save = filesystem.getSaveDirectory()
-- Both make the save directory too.
assert(filesystem.createDirectory("caches"), "the save directory cannot be made")
assert(filesystem.createDirectory("temporary"), "the save directory cannot be made")
network.configure({
    documentsDirectory = save,
    applicationSupportDirectory = save,
    cachesDirectory = save .. "/caches",
    temporaryDirectory = save .. "/temporary",
})

-- A .love file or a fused game has no folder.
local source = filesystem.getSource()
local main = io.open(source .. "/main.lua", "rb")
if main then
    main:close()
    network.configure({ resourceDirectory = source })
end

local timed = love.timer ~= nil
local hook = timed and love.timer or assert(love.event, "network.love needs love.timer or love.event")
local name = timed and "step" or "pump"
local original = hook[name]
local polling = false

hook[name] = function(...)
    local result = original(...)
    -- A listener may call it as well.
    if not polling then
        polling = true
        local fine, why = pcall(network.poll, network.frameBudget)
        polling = false
        if not fine then
            error(why, 0)
        end
    end
    return result
end

return network
