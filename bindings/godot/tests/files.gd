## Files: downloads, uploads, base directories.
extends Case


func test_a_download_is_whole_or_absent() -> void:
	var by := client()
	var path := fresh_file("download.bin")
	var asked := by.download(server + "/bytes/300000", path)
	var response: SortieResponse = await asked.completed
	equal(response.file_path, ProjectSettings.globalize_path(path), "file_path")
	equal(response.body.size(), 0, "body")
	equal(FileAccess.get_file_as_bytes(path).size(), 300000, "file")
	var other := fresh_file("absent.bin")
	equal((await respond(by, request("/status/404?body=no", {download_file = other}))).text, "no", "body of a 404")
	equal(FileAccess.file_exists(other), false, "file of a 404")
	var cut := request("/truncate?declared=100&sent=10", {download_file = other})
	equal((await respond(by, cut)).error, SortieResponse.ERROR_RECEIVE, "error")
	equal(FileAccess.file_exists(other), false, "file of a response that was cut")


func test_a_download_resumes() -> void:
	var by := client()
	var path := fresh_file("resumed.bin")
	var asked := request("/bytes/1000000?etag=x", {download_file = path, resume_download = true})
	asked.max_receive_bytes_per_second = 200_000
	equal(by.submit(asked), OK, "submit")
	await until(func() -> bool: return asked.bytes_transferred > 100_000, "some has come")
	equal(asked.cancel(), OK, "cancel")
	equal((await asked.completed as SortieResponse).error, SortieResponse.ERROR_CANCELLED, "error")
	equal(FileAccess.file_exists(path), false, "the file before it is whole")
	asked.max_receive_bytes_per_second = 0
	var response := await respond(by, asked)
	equal(response.message, "", "message")
	equal(response.status, 206, "status")
	equal(FileAccess.get_file_as_bytes(path).size(), 1_000_000, "file")
	check("Range: bytes=" in (await respond(by, request("/last?path=/bytes/1000000"))).text, "only the rest is asked for")


func test_integrity() -> void:
	var by := client()
	var hash := HashingContext.new()
	hash.start(HashingContext.HASH_SHA256)
	hash.update("a".to_utf8_buffer())
	var wanted := hash.finish().hex_encode()
	var path := "/status/200?body=a"
	equal((await respond(by, request(path, {expected_sha256 = wanted, expected_length = 1}))).text, "a", "text")
	var other := await respond(by, request("/status/200?body=b", {expected_sha256 = wanted}))
	equal(other.error, SortieResponse.ERROR_INTEGRITY, "error")
	equal((await respond(by, request(path, {expected_length = 0}))).error, SortieResponse.ERROR_INTEGRITY, "length")


func test_uploads() -> void:
	var by := client()
	var path := fresh_file("upload.bin")
	FileAccess.open(path, FileAccess.WRITE).store_buffer(bytes(100000))
	var asked := by.upload(server + "/upload", path, "image/png")
	equal((await asked.completed as SortieResponse).text.get_slice(" ", 0), "100000", "bytes sent")
	var resource := request("/upload", {body_file = "res://project.godot"})
	var length := FileAccess.get_file_as_bytes("res://project.godot").size()
	equal((await respond(by, resource)).text.get_slice(" ", 0), str(length), "bytes of a resource")
	var gone := await respond(by, request("/upload", {body_file = "user://not there"}))
	equal(gone.error, SortieResponse.ERROR_FILE, "error")


func test_base_directories() -> void:
	var by := client({caches_directory = "user://caches", documents_directory = "user://"})
	DirAccess.make_dir_recursive_absolute("user://caches")
	var properties := {download_file = "below/it.bin", download_directory = SortieRequest.DIRECTORY_CACHES}
	var response := await respond(by, request("/bytes/10", properties))
	equal(response.message, "", "message")
	equal(FileAccess.get_file_as_bytes("user://caches/below/it.bin").size(), 10, "file")
	expected_errors = [
		"would leave its base directory",
		"the client has no Temporary directory",
		"download_directory is 6, it must be 0 to 5",
	]
	properties.download_file = "../it.bin"
	equal(by.submit(request("/bytes/10", properties)), ERR_FILE_BAD_PATH, "submit")
	properties = {download_file = "it.bin", download_directory = SortieRequest.DIRECTORY_TEMPORARY}
	equal(by.submit(request("/bytes/10", properties)), ERR_FILE_BAD_PATH, "submit")
	properties.download_directory = 6
	equal(by.submit(request("/bytes/10", properties)), ERR_INVALID_PARAMETER, "submit")


func test_a_cache_and_cookies_outlive_the_client() -> void:
	var properties := {cache_directory = "user://http_cache", cookie_file = fresh_file("cookies.txt")}
	var path := "/headers?Cache-Control=max-age%3D60&X=1"
	var first := client(properties)
	first.start()
	first.clear_cache()
	await respond(first, request(path))
	await respond(first, request("/cookie/set?kept=1;%20Max-Age%3D60"))
	first.shutdown()
	var second := client(properties)
	equal((await respond(second, request(path))).from_cache, true, "from the cache")
	equal((await respond(second, request("/cookie/show"))).text, "kept=1", "cookie")
	second.shutdown()
