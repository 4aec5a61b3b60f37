## A list of downloads with their progress, while the frame goes on. Each can be paused, and cancelled.
##
## Without a server, the client answers itself: these are mocks. With one, give its address:
##     godot --path demo -- http://127.0.0.1:8080/file
extends Control

const FILES := ["level-1.pck", "level-2.pck", "voices-en.ogg", "music.ogg", "textures.zip", "patch-notes.json",
	"replays.bin", "missing.png"]

@onready var client: SortieClient = $SortieClient
@onready var spinner: ProgressBar = $Margin/Column/Spinner
@onready var list: VBoxContainer = $Margin/Column/List
@onready var status: Label = $Margin/Column/Status


func _ready() -> void:
	var base := "https://cdn.example/"
	var arguments := OS.get_cmdline_user_args()
	if arguments:
		base = arguments[0]
	else:
		answer_by_mocks(base)
	for index in FILES.size():
		download(base, FILES[index], SortieRequest.PRIORITY_HIGH if index == 5 else SortieRequest.PRIORITY_NORMAL)


func _process(_delta: float) -> void:
	spinner.value = fmod(Time.get_ticks_msec() / 10.0, 100.0)
	var stats := client.get_stats()
	status.text = "%d waiting   %d active   %d ended   %s received   %d fps" % [stats.waiting, stats.active,
		stats.ended, String.humanize_size(stats.bytes_received), Engine.get_frames_per_second()]


func download(base: String, file: String, priority: int) -> void:
	var bar := ProgressBar.new()
	bar.size_flags_horizontal = SIZE_EXPAND_FILL
	bar.size_flags_vertical = SIZE_SHRINK_CENTER
	var state := Label.new()
	state.text = "waiting"
	state.custom_minimum_size.x = 190

	var request := SortieRequest.new()
	request.url = base + file
	request.download_file = "user://" + file
	request.priority = priority
	request.timeout = 0
	request.began.connect(func(_response: SortieResponse) -> void: state.text = "receiving")
	request.progress.connect(func(transferred: int, total: int) -> void:
		bar.max_value = maxi(total, 1)
		bar.value = transferred
		state.text = "%s of %s" % [String.humanize_size(transferred), String.humanize_size(total)])

	var row := HBoxContainer.new()
	var title := Label.new()
	title.text = file
	title.custom_minimum_size.x = 150
	var pause := Button.new()
	pause.text = "Pause"
	pause.toggle_mode = true
	# What a request's own signals hold keeps it alive; a button's do not outlive the row.
	pause.toggled.connect(func(on: bool) -> void: request.pause() if on else request.unpause())
	var cancel := Button.new()
	cancel.text = "Cancel"
	cancel.pressed.connect(request.cancel)
	for control: Control in [title, bar, state, pause, cancel]:
		row.add_child(control)
	list.add_child(row)

	if client.submit(request) != OK:
		state.text = "refused, see the log"
		return
	var response: SortieResponse = await request.completed
	pause.disabled = true
	cancel.disabled = true
	if response.error != SortieResponse.ERROR_NONE:
		state.text = SortieResponse.error_string(response.error)
	elif response.ok:
		bar.value = bar.max_value
		state.text = "%s in %.1f s" % [String.humanize_size(response.bytes_transferred),
			response.get_timing().total_usec / 1e6]
	else:
		state.text = response.status_line


func answer_by_mocks(base: String) -> void:
	client.mocks_only = true
	for index in FILES.size():
		var mock := SortieMock.new()
		mock.url = base + FILES[index]
		var body := PackedByteArray()
		body.resize((index * 37 % 11 + 2) * 400_000)
		mock.body = body
		mock.bytes_per_second = 400_000 + index * 150_000
		mock.delay = 0.1 * index
		if FILES[index] == "missing.png":
			mock.status = 404
			mock.body = "not here".to_utf8_buffer()
		client.mock(mock)
