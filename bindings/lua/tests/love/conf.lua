function love.conf(t)
    t.identity = "sortie_test"
    for _, name in ipairs({ "window", "graphics", "image", "font", "audio", "sound", "joystick" }) do
        t.modules[name] = false
    end
end
