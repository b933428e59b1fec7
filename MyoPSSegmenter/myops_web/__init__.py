"""The workflow of the Slicer panel in a browser: `myops web`.

    page/          what the browser shows and draws: no number is computed there
    app            HTTP and WebSocket: who may come in, and what is handed out
    readings       one process per reader; a tab is attached to one of them
    process        that process: its messages, its timer, its end
    desk           a scene with `MyoPSLogic`, told by name what to do
    shown          what the logic knows, as JSON values
    heart3d        the 3D view of the open case; `surfaces` makes its triangles
    receive        an upload over HTTP
    uploads        its check in a process of its own, and its place; `image_kinds` tells images

Only `process`, `desk`, `shown`, `scene` and what they import need Slicer, and only in a reader's
process.
"""
