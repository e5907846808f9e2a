using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime;

/// <summary>Everything of a bundle that calls share; immutable after loading but for adapters that are loaded when first used.</summary>
internal sealed class LoadedBundle : IDisposable
{
    private readonly int[]?[] _verifierTokens;

    private LoadedBundle(BundleManifest bundle, Tokenizer tokenizer, ChatTemplate template, SessionSet sessions)
    {
        Bundle = bundle;
        Tokenizer = tokenizer;
        Template = template;
        Sessions = sessions;
        _verifierTokens = [.. bundle.Adapters.Select(a => a.Verifier is null ? null : tokenizer.Encode(a.Verifier.Prompt))];
        Output = new OutputFormat(tokenizer, bundle.Prompt, bundle.AnswerTokens, bundle.EosTokens, bundle.Architecture.VocabularySize);
        KnownText =
        [
            .. tokenizer.Encode(bundle.Prompt.ThinkOpen),
            .. (bundle.Answer.Choices ?? [""]).SelectMany(choice => tokenizer.Encode(bundle.Prompt.ForceAnswer + choice)),
        ];
    }

    public BundleManifest Bundle { get; }

    public Tokenizer Tokenizer { get; }

    public ChatTemplate Template { get; }

    public SessionSet Sessions { get; }

    /// <summary>What generated tokens mean.</summary>
    public OutputFormat Output { get; }

    /// <summary>Text that reasoning is likely to hold, whatever the question: the opening tag, and behind the closing one an answer of those that there are.</summary>
    public int[] KnownText { get; }

    /// <summary>Token ids that may be generated; see <see cref="OutputFormat.Vocabulary"/>.</summary>
    public int Vocabulary => Output.Vocabulary;

    /// <summary>The verifier of a mode's answers; null when it has none. Its graph is loaded when it is first asked for.</summary>
    /// <param name="mode">Index of the mode.</param>
    public AnswerVerifier? Verifier(int mode) =>
        mode > 0 && _verifierTokens[mode - 1] is int[] tokens ? new AnswerVerifier(Sessions.Verifier(mode)!, tokens, Bundle.Adapters[mode - 1].Verifier!.Confidence) : null;

    /// <summary>Tokens of the verification prompt of a mode; 0 when it has no verifier.</summary>
    /// <param name="mode">Index of the mode.</param>
    public int VerifierTokens(int mode) => mode > 0 ? _verifierTokens[mode - 1]?.Length ?? 0 : 0;

    /// <summary>Checks and loads a bundle; digests, tokenizer and graphs side by side.</summary>
    public static LoadedBundle Load(string bundleFolder, BundleManifest bundle, ReasoningModelOptions options, CancellationToken cancellationToken)
    {
        // Lengths first: a truncated weight file must not be mapped.
        BundleVerifier.Verify(bundleFolder, bundle, BundleCheck.Lengths, cancellationToken);
        int threads = options.Threads ?? Environment.ProcessorCount;
        Task<Exception?> digests = Task.Run(() => Try(() => BundleVerifier.Verify(bundleFolder, bundle, options.Check, cancellationToken)), CancellationToken.None);
        Tokenizer? tokenizer = null;
        ChatTemplate? template = null;
        Task<Exception?> text = Task.Run(
            () => Try(() =>
            {
                tokenizer = Tokenizer.Load(Path.Combine(bundleFolder, "tokenizer.json"));
                template = ChatTemplate.Load(Path.Combine(bundleFolder, "tokenizer_config.json"));
            }),
            CancellationToken.None);
        SessionSet? sessions = null;
        Exception? failure = Try(() => sessions = SessionSet.Load(bundleFolder, bundle, threads, options.ReadWeightsInPlace));

        // A damaged file explains what else failed, so its error goes first.
        failure = digests.GetAwaiter().GetResult() ?? text.GetAwaiter().GetResult() ?? failure;
        if (failure is not null)
        {
            sessions?.Dispose();
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }

        return new LoadedBundle(bundle, tokenizer!, template!, sessions!);
    }

    /// <summary>A decoder of many sequences at once, in one mode.</summary>
    /// <param name="mode">The mode's index.</param>
    /// <param name="rows">Sequences that each worker decodes at once.</param>
    /// <param name="workers">Threads with batches of their own; with sessions of one thread each, the number of processors.</param>
    /// <param name="verified">Whether the mode's verifier judges each answer.</param>
    public BatchDecoder Batch(int mode, int rows, int workers, bool verified = false) =>
        new(Bundle.Architecture, Output, Sessions.Encoder, Sessions[mode], Bundle.Context, rows, workers, verifier: verified ? Verifier(mode) : null, cache: Bundle.Cache);

    public void Dispose() => Sessions.Dispose();

    private static Exception? Try(Action action)
    {
        try
        {
            action();
            return null;
        }
#pragma warning disable CA1031 // Thrown again by the caller, after the other tasks have ended.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return e;
        }
    }
}
