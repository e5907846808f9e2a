using ModelSdk.Onnx.Adapters;

namespace ModelSdk.Training;

/// <summary>A prompt to sample from.</summary>
/// <param name="Tokens">Tokens before the generation prompt.</param>
/// <param name="Samples">Completions to draw.</param>
/// <param name="MaxTokens">Most tokens of a completion.</param>
/// <param name="Seed">Seed of its completions: same seed, same adapter, same completions.</param>
public sealed record RolloutPrompt(int[] Tokens, int Samples, int MaxTokens, ulong Seed);

/// <summary>One completion.</summary>
/// <param name="Prompt">Index of its prompt.</param>
/// <param name="Sample">Number among the prompt's completions, from 0.</param>
/// <param name="Tokens">Tokens after the generation prompt, the one that ended it included.</param>
/// <param name="LogProbs">Log-probability of each token under softmax(logits / temperature), as the sampler computed it.</param>
/// <param name="Ended">True: the last token ends the turn. False: the limit was reached.</param>
public sealed record Rollout(int Prompt, int Sample, int[] Tokens, float[] LogProbs, bool Ended);

/// <summary>Draws completions with an adapter. In builds it is the deployed engine; ablations and tests use Torch.</summary>
/// <param name="adapter">The policy.</param>
/// <param name="prompts">Prompts.</param>
/// <param name="temperature">Sampling temperature, above 0.</param>
/// <param name="cancellation">Ends early.</param>
/// <returns>All completions, ordered by prompt and sample.</returns>
public delegate IReadOnlyList<Rollout> RolloutSampler(LoraAdapter adapter, IReadOnlyList<RolloutPrompt> prompts, double temperature, CancellationToken cancellation);

/// <summary>A completion as text, ready to be graded.</summary>
/// <param name="Id">Names the question: its line in the data file.</param>
/// <param name="Question">The user's last message, as written in the data.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Answer">The answer behind the reasoning; empty where there is none.</param>
/// <param name="Output">The whole text.</param>
public sealed record GradedAnswer(string Id, string Question, string Expected, string Answer, string Output);

/// <summary>Scores answers, each 0 (wrong) to 1 (right).</summary>
public delegate IReadOnlyList<double> AnswerGrader(IReadOnlyList<GradedAnswer> answers);
