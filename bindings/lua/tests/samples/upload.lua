-- Uploads a file by network.upload(), with progress.

local function uploadListener( event )

    if ( event.isError ) then
        print( "Network error: ", event.response )
    elseif ( event.phase == "began" ) then
        print( "Uploading " .. event.bytesEstimated .. " bytes" )
    elseif ( event.phase == "ended" ) then
        print( "Uploaded " .. event.bytesTransferred .. " bytes, status " .. event.status )
        print( "Answer: " .. event.response )
    end
end

local params = {
    progress = true,
    headers = { ["X-Player"] = 42 }
}

network.upload( "http://127.0.0.1/save", "PUT", uploadListener, params, "save.dat", system.DocumentsDirectory,
    "application/x-save" )
