using Microsoft.ML.OnnxRuntime;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>The sessions of a bundle: base and default mode are loaded at once, other adapters when they are first used.</summary>
internal sealed class SessionSet : IDisposable
{
    private readonly WeightMap _weights;
    private readonly PrePackedWeightsContainer _prepacked = new();
    private readonly string[] _modes;
    private readonly Lazy<GraphSession>[] _sessions;

    private SessionSet(string bundleFolder, BundleManifest manifest, int threads)
    {
        _weights = WeightMap.Open(bundleFolder, manifest);
        _modes = [.. manifest.Modes];
        _sessions = new Lazy<GraphSession>[_modes.Length];
        for (int i = 0; i < _modes.Length; i++)
        {
            int index = i;
            string path = Path.Combine(bundleFolder, i == 0 ? manifest.BaseGraph : manifest.Adapters[i - 1].Graph);
            _sessions[i] = new(() => GraphSession.Load(_modes[index], index, path, _weights, _prepacked, threads));
        }
    }

    /// <summary>Mode names by index; 0 is the base.</summary>
    public IReadOnlyList<string> Modes => _modes;

    public GraphSession Base => _sessions[0].Value;

    /// <summary>Maps the weights and loads the graphs of the base and of the default mode side by side.</summary>
    public static SessionSet Load(string bundleFolder, BundleManifest manifest, int threads)
    {
        SessionSet set = new(bundleFolder, manifest, threads);
        try
        {
            int defaultIndex = set.IndexOf(manifest.DefaultMode);
            Task<GraphSession>? adapter = defaultIndex == 0 ? null : Task.Run(() => set[defaultIndex]);
            try
            {
                _ = set.Base;
            }
            finally
            {
                // Also when the base failed: nothing may be released while the other session still loads.
                adapter?.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
            }

            _ = adapter?.GetAwaiter().GetResult();
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <summary>The session of a mode; loads it when it is used for the first time.</summary>
    public GraphSession this[int index] => _sessions[index].Value;

    /// <summary>Index of a mode.</summary>
    /// <exception cref="UnknownAdapterException">There is no such mode.</exception>
    public int IndexOf(string mode)
    {
        int index = Array.IndexOf(_modes, mode);
        return index >= 0 ? index : throw new UnknownAdapterException(mode, _modes);
    }

    public void Dispose()
    {
        foreach (Lazy<GraphSession> session in _sessions)
        {
            if (session.IsValueCreated)
                session.Value.Dispose();
        }

        _prepacked.Dispose();
        _weights.Dispose();
    }
}
