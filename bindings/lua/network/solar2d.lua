-- Solar2D's globals on other hosts: `system`, `Runtime` and `network`, as far as programs for the network library need
-- them. What the host has of these stays as it is.
--
--   local network = require "network.solar2d"
--   ... once a frame:
--   Runtime:dispatchEvent{ name = "enterFrame" }
--
-- Gives the module `network`. Each enterFrame event polls it, within network.frameBudget milliseconds if that is set;
-- the system events applicationSuspend and applicationResume suspend and resume it.

local network = require "network"

-- Also where a strict module guards the globals.
local function provide(name, make)
    local value = rawget(_G, name)
    if value == nil then
        value = make()
        rawset(_G, name, value)
    end
    return value
end

provide("network", function()
    return network
end)

provide("system", function()
    local system = {
        DocumentsDirectory = network.DocumentsDirectory,
        TemporaryDirectory = network.TemporaryDirectory,
        CachesDirectory = network.CachesDirectory,
        ApplicationSupportDirectory = network.ApplicationSupportDirectory,
        ResourceDirectory = network.ResourceDirectory,
        getTimer = network.getTimer,
    }

    --- The path of a file, or of a base directory if the name is nil. Like Solar2D's, it looks in ResourceDirectory
    --- unless told otherwise, and gives nil for what is not there.
    function system.pathForFile(filename, baseDirectory)
        baseDirectory = baseDirectory or system.ResourceDirectory
        local path = network.pathForFile(filename, baseDirectory)
        if filename and baseDirectory == system.ResourceDirectory then
            local file = io.open(path, "rb")
            if not file then
                return nil
            end
            file:close()
        end
        return path
    end

    return system
end)

local Runtime = provide("Runtime", function()
    local Runtime = { _listeners = {} }

    local function check(listener)
        if type(listener) ~= "function" and type(listener) ~= "table" then
            error("Runtime: the listener must be a function or a table (got " .. type(listener) .. ")", 3)
        end
    end

    --- The listener is a function, or a table with a method of the event's name.
    function Runtime:addEventListener(name, listener)
        check(listener)
        local listeners = self._listeners[name] or {}
        self._listeners[name] = listeners
        listeners[#listeners + 1] = listener
        return true
    end

    --- Gives whether there was such a listener.
    function Runtime:removeEventListener(name, listener)
        check(listener)
        local listeners, left, found = self._listeners[name] or {}, {}, false
        for _, other in ipairs(listeners) do
            if other == listener and not found then
                found = true
            else
                left[#left + 1] = other
            end
        end
        -- A new list: a dispatch that is under way goes on with the old one.
        self._listeners[name] = left
        return found
    end

    --- Calls the listeners of event.name, in the order in which they were added.
    function Runtime:dispatchEvent(event)
        local listeners = self._listeners[event.name] or {}
        for i = 1, #listeners do
            local listener = listeners[i]
            if type(listener) == "function" then
                listener(event)
            else
                listener[event.name](listener, event)
            end
        end
    end

    return Runtime
end)

-- A host whose Runtime is something else polls by itself.
if type(Runtime) == "table" and Runtime.addEventListener then
    Runtime:addEventListener("enterFrame", function()
        network.poll(network.frameBudget)
    end)

    Runtime:addEventListener("system", function(event)
        if event.type == "applicationSuspend" then
            network.suspend()
        elseif event.type == "applicationResume" then
            network.resume()
        end
    end)
end

return network
