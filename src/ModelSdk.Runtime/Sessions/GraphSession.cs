using Microsoft.ML.OnnxRuntime;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Kernels;

namespace ModelSdk.Runtime.Sessions;

/// <summary>One graph loaded into ONNX Runtime: the base (index 0) or one adapter over the same weights.</summary>
internal sealed class GraphSession : IDisposable
{
    private static readonly RunOptions RunOptions = new();

    private readonly IReadOnlyList<(string Name, OrtValue Value)> _constants;
    private readonly bool _owner;

    private GraphSession(string mode, int index, InferenceSession session, IReadOnlyList<(string Name, OrtValue Value)> constants, bool owner)
    {
        Mode = mode;
        Index = index;
        Session = session;
        Outputs = session.OutputMetadata.TryGetValue("logits", out NodeMetadata? logits) ? logits.Dimensions[1] : 0;
        Encodes = session.InputMetadata.ContainsKey("past_length");
        _constants = constants;
        _owner = owner;
    }

    /// <summary>"base" or the adapter's name.</summary>
    public string Mode { get; }

    /// <summary>0 for the base, 1 + n for the n-th adapter of the bundle.</summary>
    public int Index { get; }

    public InferenceSession Session { get; }

    /// <summary>Width of "logits": the vocabulary, 1 for a verifier, 0 for the graph that only encodes prompts.</summary>
    public int Outputs { get; }

    /// <summary>Whether it only encodes prompts, beside a quantized cache that it does not write itself (<see cref="EncodedRows"/>).</summary>
    public bool Encodes { get; }

    /// <summary>Loads a graph file.</summary>
    /// <param name="mode">The mode it belongs to.</param>
    /// <param name="index">The mode's index.</param>
    /// <param name="path">The graph's file; its own constants may lie in a file beside it.</param>
    /// <param name="weights">Base weights that stand in for the graph's initializers of the same names.</param>
    /// <param name="prepacked">Kernel-specific forms of the base weights, shared by all sessions.</param>
    /// <param name="threads">Threads of one pass.</param>
    /// <param name="inPlace">Whether <see cref="OwnKernels"/> computes products.</param>
    public static GraphSession Load(string mode, int index, string path, WeightMap weights, PrePackedWeightsContainer prepacked, int threads, bool inPlace = false)
    {
        using SessionOptions options = new()
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        options.AddSessionConfigEntry("session.prepack.enable_parallel", "1");
        // Threads spin within a pass and stop between passes, so that an idle model takes no processor time.
        options.AddSessionConfigEntry("session.force_spinning_stop", "1");
        if (inPlace)
            OwnKernels.AddTo(options, threads);
        foreach ((string name, OrtValue value) in weights.Tensors)
            options.AddInitializer(name, value);
        try
        {
            return new GraphSession(mode, index, new InferenceSession(path, options, prepacked), [], owner: true);
        }
        catch (OnnxRuntimeException e)
        {
            throw new BundleException(
                DiagnosticCodes.BundleGraphInvalid,
                $"ONNX Runtime cannot load the graph of mode \"{mode}\": {e.Message} Build the model again with the ModelSdk version that the app references.",
                path,
                e);
        }
    }

    /// <summary>The same graph as a further mode, with inputs that are the same in every run; this session must outlive it.</summary>
    /// <param name="mode">The further mode's name.</param>
    /// <param name="index">The further mode's index.</param>
    /// <param name="constants">Inputs by name, e.g. the LoRA of a rollout graph; their memory may be overwritten between runs.</param>
    public GraphSession With(string mode, int index, IReadOnlyList<(string Name, OrtValue Value)> constants) => new(mode, index, Session, constants, owner: false);

    /// <summary>Binds the inputs that are the same in every run.</summary>
    public void BindConstants(OrtIoBinding binding)
    {
        foreach ((string name, OrtValue value) in _constants)
            binding.BindInput(name, value);
    }

    /// <summary>Runs the graph.</summary>
    public void Run(OrtIoBinding binding) => Session.RunWithBinding(RunOptions, binding);

    public void Dispose()
    {
        if (_owner)
            Session.Dispose();
    }
}
