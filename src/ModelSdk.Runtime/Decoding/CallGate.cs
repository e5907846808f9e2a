namespace ModelSdk.Runtime.Decoding;

/// <summary>Counts running calls, so that disposal refuses new ones and waits for those that run.</summary>
internal sealed class CallGate
{
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _running;
    private bool _closed;

    /// <summary>Begins a call.</summary>
    /// <exception cref="ObjectDisposedException">The owner was disposed.</exception>
    public void Enter(object owner)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed, owner);
            _running++;
        }
    }

    /// <summary>Ends a call.</summary>
    public void Exit()
    {
        lock (_lock)
        {
            if (--_running == 0 && _closed)
                _idle.TrySetResult();
        }
    }

    /// <summary>Refuses new calls and waits for those that run.</summary>
    /// <returns>Whether this was the first time.</returns>
    public async Task<bool> CloseAsync()
    {
        bool first;
        lock (_lock)
        {
            first = !_closed;
            _closed = true;
            if (_running == 0)
                _idle.TrySetResult();
        }

        await _idle.Task.ConfigureAwait(false);
        return first;
    }
}
