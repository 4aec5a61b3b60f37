---@meta network

-- Annotations for editors (LuaLS). README.md describes it all.

---@class network
---@field version string
---@field canDetectNetworkStatusChanges boolean
---@field DocumentsDirectory network.Directory
---@field TemporaryDirectory network.Directory
---@field CachesDirectory network.Directory
---@field ApplicationSupportDirectory network.Directory
---@field ResourceDirectory network.Directory
---@field frameBudget? number Milliseconds that the adapters give to each poll.
local network = {}

---@class network.Directory: userdata
---@class network.Handle: userdata

---@class network.File
---@field filename string
---@field baseDirectory? network.Directory

---@class network.Params
---@field headers? table<string, string|number|boolean>
---@field body? string|network.File
---@field bodyType? "text"|"binary"
---@field progress? "upload"|"download"|boolean
---@field response? network.File
---@field timeout? number Seconds.
---@field handleRedirects? boolean
---@field debug? boolean
---@field connectTimeout? number Seconds.
---@field stallTimeout? number Seconds.
---@field queueTimeout? number Seconds.
---@field minBytesPerSecond? integer
---@field minSpeedPeriod? number Seconds.
---@field proxy? string
---@field maxRedirects? integer
---@field insecureRedirects? boolean
---@field maxBodyBytes? integer
---@field maxAttempts? integer
---@field attemptTimeout? number Seconds.
---@field retryDelay? number Seconds.
---@field maxRetryDelay? number Seconds.
---@field retryAnyMethod? boolean
---@field expectedSha256? string
---@field expectedLength? integer
---@field resume? boolean
---@field priority? "high"|"normal"|"low"
---@field httpVersion? "1.1"|"2"
---@field username? string
---@field password? string
---@field bearerToken? string
---@field cookies? boolean
---@field sync? boolean
---@field rawText? boolean

---@class network.Response
---@field filename string
---@field baseDirectory network.Directory
---@field fullPath string

---@class network.Debug
---@field charset? string
---@field charsetSource? string
---@field url? string
---@field attempts integer
---@field credentialsUnused boolean
---@field redirects integer
---@field queued number Seconds; so are the rest.
---@field nameLookup number
---@field connect number
---@field tls number
---@field firstByte number
---@field total number

---@class network.RequestEvent
---@field name "networkRequest"
---@field phase "began"|"progress"|"ended"
---@field isError boolean
---@field status integer
---@field requestId network.Handle
---@field url string
---@field responseHeaders table<string, string>
---@field responseTrailers? table<string, string>
---@field responseType? "text"|"binary"
---@field response? string|network.Response
---@field bytesTransferred integer
---@field bytesEstimated integer
---@field debug? network.Debug

---@class network.StatusEvent
---@field name "networkStatus"
---@field address string
---@field isReachable boolean
---@field isConnectionRequired boolean
---@field isConnectionOnDemand boolean
---@field isInteractionRequired boolean
---@field isReachableViaCellular boolean
---@field isReachableViaWiFi boolean

---@class network.RequestObject
---@field networkRequest fun(self: table, event: network.RequestEvent)

---@class network.StatusObject
---@field networkStatus fun(self: table, event: network.StatusEvent)

---@alias network.Listener fun(event: network.RequestEvent)|network.RequestObject
---@alias network.StatusListener fun(event: network.StatusEvent)|network.StatusObject

---@class network.Settings
---@field onError? fun(message: string, traceback: string)
---@field onWarning? fun(message: string)
---@field userAgent? string
---@field documentsDirectory? string
---@field temporaryDirectory? string
---@field cachesDirectory? string
---@field applicationSupportDirectory? string
---@field resourceDirectory? string
---@field maxActive? integer
---@field maxActivePerHost? integer
---@field maxRequests? integer
---@field timeout? number Seconds.
---@field connectTimeout? number Seconds.
---@field stallTimeout? number Seconds.
---@field queueTimeout? number Seconds.
---@field minBytesPerSecond? integer
---@field minSpeedPeriod? number Seconds.
---@field keepAliveInterval? number Seconds.
---@field maxConnectionIdle? number Seconds.
---@field minTlsVersion? "1.2"|"1.3"
---@field maxBodyBytes? integer
---@field maxBufferedBytes? integer
---@field defaultHeaders? table<string, string|number|boolean>
---@field pins? { host: string, publicKeys: string }[]
---@field caFile? string
---@field clientCertificates? { host: string, certificateFile: string, keyFile?: string, keyPassword?: string }[]
---@field resolves? { host: string, port?: integer, address: string, addressPort?: integer }[]
---@field proxy? string
---@field noProxy? string
---@field cookies? boolean
---@field cookieFile? string
---@field reachabilityInterval? number Seconds.

---@class network.Stats
---@field waiting integer
---@field active integer
---@field undrained integer
---@field submitted integer
---@field ended integer
---@field failed integer
---@field bytesReceived integer
---@field bytesSent integer
---@field bufferedBytes integer
---@field connections integer

---@param url string
---@param method? string
---@param listener? network.Listener
---@param params? network.Params
---@return network.Handle
function network.request(url, method, listener, params) end

---@param url string
---@param method? string
---@param listener? network.Listener
---@param params? network.Params
---@param filename string
---@param baseDirectory? network.Directory
---@return network.Handle
---@overload fun(url, method?, listener?, filename: string, baseDirectory?: network.Directory): network.Handle
function network.download(url, method, listener, params, filename, baseDirectory) end

---@param url string
---@param method? string
---@param listener? network.Listener
---@param params? network.Params
---@param filename string
---@param baseDirectory? network.Directory
---@param contentType? string
---@return network.Handle
---@overload fun(url, method?, listener?, filename: string, baseDirectory?, contentType?: string): network.Handle
---@overload fun(url, method?, listener?, filename: string, contentType?: string): network.Handle
function network.upload(url, method, listener, params, filename, baseDirectory, contentType) end

---@param handle network.Handle
---@return boolean stopped
function network.cancel(handle) end

---@param host string
---@param listener? network.StatusListener
function network.setStatusListener(host, listener) end

---@return { isConnected: boolean, isMobile: boolean }
function network.getConnectionStatus() end

---@param budget? number Milliseconds.
---@return integer delivered
function network.poll(budget) end

---@param seconds number
---@return boolean hasEvent
function network.wait(seconds) end

---@param settings network.Settings
function network.configure(settings) end

function network.suspend() end

function network.resume() end

function network.shutdown() end

---@param url string
---@param cookie string
---@return true? kept
---@return string? why
function network.setCookie(url, cookie) end

---@param url string
---@return string? cookies
---@return string? why
function network.getCookies(url) end

---@return true? cleared
---@return string? why
function network.clearCookies() end

---@return network.Stats
function network.stats() end

---@param filename? string
---@param baseDirectory? network.Directory
---@return string
function network.pathForFile(filename, baseDirectory) end

---@return number milliseconds
function network.getTimer() end

return network
