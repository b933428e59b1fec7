"""The workflow of the Slicer panel in a browser: `myops web`.

    page/          what the browser shows and draws: no number is computed there
    app            HTTP and WebSocket: who may come in, and what is handed out
    readings       one process per reader; a tab is attached to one of them
    process        that process: its messages, its timer, its end
    desk           a scene with `MyoPSLogic`, told by name what to do
    shown          what the logic knows, as JSON values

Only `process`, `desk`, `shown` and `scene` import Slicer, and only in a reader's process.
"""
