using System.Runtime.InteropServices;

namespace ModelSdk.Compiler.Commands;

/// <summary>
/// One token for every polite way to stop modelc: Ctrl+C, SIGTERM, and (for the build task) the end of standard input.
/// A second Ctrl+C ends the process at once; the store survives that.
/// </summary>
internal sealed class Cancellation : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _signals = [];

    public Cancellation()
    {
        foreach (PosixSignal signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
        {
            _signals.Add(PosixSignalRegistration.Create(signal, context =>
            {
                if (!_source.IsCancellationRequested)
                {
                    context.Cancel = true;
                    _source.Cancel();
                }
            }));
        }
    }

    public CancellationToken Token => _source.Token;

    /// <summary>Cancels when standard input ends: the parent closed it, or died.</summary>
    public void WatchStandardInput() => new Thread(() =>
    {
        using Stream input = Console.OpenStandardInput();
        Span<byte> buffer = stackalloc byte[256];
        try
        {
            while (input.Read(buffer) > 0)
            {
                // What the parent writes has no meaning.
            }
        }
        catch (IOException)
        {
            // A broken pipe is an end as well.
        }

        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The work was done first.
        }
    })
    { IsBackground = true, Name = "stdin watch" }.Start();

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals)
        {
            signal.Dispose();
        }

        _source.Dispose();
    }
}
