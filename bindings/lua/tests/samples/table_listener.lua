-- A table that listens, and requests made one after the other by what it hears.

local loader = { pages = { "one", "two", "three" }, loaded = {} }

function loader:networkRequest( event )

    if ( event.isError ) then
        print( "Network error: ", event.response )
        return
    end
    self.loaded[#self.loaded + 1] = event.response
    self:next()
end

function loader:next()

    local page = self.pages[#self.loaded + 1]
    if ( page ) then
        network.request( "http://127.0.0.1/page/" .. page, "GET", self )
    else
        print( "Loaded: " .. table.concat( self.loaded, ", " ) )
    end
end

loader:next()
