using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace ModelSdk.Runtime.Decoding;

/// <summary>Turns a blocking generation into an asynchronous stream: it runs on a worker, so the consumer's thread is never blocked.</summary>
internal static class WorkerStream
{
    /// <summary>Runs a call and yields its updates as they come. Leaving the loop early cancels the call and waits until it has stopped.</summary>
    public static async IAsyncEnumerable<ReasoningUpdate> Run(
        Func<Action<UpdateKind, string>?, CancellationToken, Task<ReasoningResult>> call,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Channel<ReasoningUpdate> updates = Channel.CreateUnbounded<ReasoningUpdate>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        Task worker = ProduceAsync(call, updates.Writer, stop.Token);
        try
        {
            await foreach (ReasoningUpdate update in updates.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
                yield return update;
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await worker.ConfigureAwait(false);
        }
    }

    private static async Task ProduceAsync(
        Func<Action<UpdateKind, string>?, CancellationToken, Task<ReasoningResult>> call,
        ChannelWriter<ReasoningUpdate> updates,
        CancellationToken cancellationToken)
    {
        try
        {
            ReasoningResult result = await call((kind, text) => updates.TryWrite(new ReasoningUpdate(kind, text)), cancellationToken).ConfigureAwait(false);
            updates.TryWrite(new ReasoningUpdate(UpdateKind.Answer, "", result));
            updates.Complete();
        }
#pragma warning disable CA1031 // Handed to the consumer, who gets it from the loop.
        catch (Exception e)
#pragma warning restore CA1031
        {
            updates.Complete(e);
        }
    }
}
